//! Reconciling: both sides of an account compared, movement by movement, over a period.
//!
//! A run is a row that says what is compared next. Each page of it reads our side, then asks the
//! provider, compares ([`crate::domain::reconciliation`]), and writes what was found together with
//! how far the run has come, in one statement: a stopped run goes on where it was, and two workers
//! never work on one. A discrepancy that is found no more is closed by the run that did not find it.

mod balances;
mod movements;
mod orders;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use time::{OffsetDateTime, Time};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::discrepancy::{self, Subject};
use super::error::FlowError;
use super::page;
use super::tenant::{ProviderAccount, tenant};
use crate::domain::finding::Finding;
use crate::domain::ids::{MerchantId, RunId};
use crate::domain::order::{Provider, Way};
use crate::domain::reconciliation::Leg;
use crate::faults::{Point, point};
use crate::store::reconciliations::{self, ClosedRow, Counts, FoundRow, PageWrite};
pub use crate::store::reconciliations::{RunRow, Wish};
use crate::store::{accounts, discrepancies};

/// A nightly run that could not be finished for so long is given up; the next night's looks at the same days.
const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

/// Runs worked on side by side: a long one must not keep the others waiting.
const SIDE_BY_SIDE: usize = 4;
/// Who asks for nightly runs.
const SCHEDULE: &str = "schedule";

/// When and how both sides are compared.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// When each night's runs begin, in UTC. Absent: only when somebody asks.
    pub nightly_at: Option<Time>,
    /// How many days back a nightly run goes.
    pub days: u32,
    /// Nightly runs hear at once what the provider is further with.
    pub repair: bool,
    /// The least time between two questions of a run.
    pub pause: Duration,
}

/// Begins a run, or finds the one that is under way for the same. `None` if this night's run was there before.
pub async fn begin(context: &Context, wish: Wish<'_>) -> Result<Option<RunRow>, FlowError> {
    let id = RunId(context.clock.new_uuid());
    Ok(reconciliations::begin(&mut *context.db.get().await?, id, wish, context.clock.now()).await?)
}

/// The run of an account that a person began and that is not over, if there is one.
pub async fn begun_by_hand(context: &Context, merchant: MerchantId, provider: Provider, repair: bool) -> Result<Option<RunRow>, FlowError> {
    Ok(reconciliations::begun_by_hand(&mut *context.db.get().await?, merchant, provider, repair).await?)
}

/// Works on a run until it is over or `stop` is cancelled; `tell` hears of each page. `None` if somebody else works on it, or
/// took it over. Whatever happens, it can be taken up again where it was.
///
/// # Errors
/// The provider or the database cannot be asked.
pub async fn work(
    context: &Context,
    (merchant, id): (MerchantId, RunId),
    stop: &CancellationToken,
    mut tell: impl FnMut(&RunRow),
) -> Result<Option<RunRow>, FlowError> {
    let now = context.clock.now();
    let claimed = reconciliations::claim(&mut *context.db.get().await?, (merchant, id), now, now + context.timing.lease).await?;
    let Some(mut run) = claimed else { return Ok(None) };
    let account = tenant(context, merchant).await?.account(run.provider()?)?.clone();
    while run.state == "running" && !stop.is_cancelled() {
        tell(&run);
        match one_page(context, &account, &run).await {
            Ok(Some(next)) => run = next,
            Ok(None) => return Ok(None),
            Err(error) => {
                let tired = run.asked_by == SCHEDULE && context.clock.now() - run.started_at >= GIVE_UP_AFTER;
                let why = tired.then(|| error.to_string());
                reconciliations::stop(&mut *context.db.get().await?, &run, why.as_deref(), context.clock.now()).await?;
                return Err(error);
            }
        }
    }
    tell(&run);
    if run.state == "running" {
        reconciliations::stop(&mut *context.db.get().await?, &run, None, context.clock.now()).await?;
    }
    Ok(Some(run))
}

/// Works on every run that nobody works on. Gives the number of runs that came to their end.
pub async fn work_on_all(context: &Context, stop: &CancellationToken) -> Result<usize, FlowError> {
    let waiting = reconciliations::waiting(&mut *context.db.get().await?, context.clock.now()).await?;
    let runs = stream::iter(waiting).map(|(merchant, id)| async move {
        match work(context, (merchant, id), stop, |_| ()).await {
            Ok(Some(run)) => usize::from(run.state == "finished"),
            Ok(None) => 0,
            Err(error) => {
                tracing::warn!(%merchant, run = %id, %error, "a reconciliation could not go on and will be taken up again");
                0
            }
        }
    });
    Ok(runs.buffer_unordered(SIDE_BY_SIDE).collect::<Vec<_>>().await.into_iter().sum())
}

/// Begins this night's runs, once. Gives the number of runs that are to be worked on.
pub async fn begin_nightly(context: &Context) -> Result<usize, FlowError> {
    discrepancy::measure(context).await?;
    let Habits { nightly_at: Some(at), days, repair, .. } = context.reconciliation else { return Ok(0) };
    let now = context.clock.now();
    let to = now.replace_time(Time::MIDNIGHT);
    if now < to.replace_time(at) {
        return Ok(0);
    }
    let from = to - time::Duration::days(i64::from(days));
    let mut begun = 0;
    for (merchant, provider) in all_accounts(context).await? {
        begun += usize::from(begin(context, Wish { merchant, provider, from, to, repair, asked_by: SCHEDULE }).await?.is_some());
    }
    Ok(begun)
}

/// All accounts at wallets, of all merchants.
pub async fn all_accounts(context: &Context) -> Result<Vec<(MerchantId, Provider)>, FlowError> {
    let mut connection = context.db.get().await?;
    let mut all = Vec::new();
    for merchant in accounts::merchants(&mut connection).await? {
        for account in accounts::accounts(&mut connection, merchant.id).await? {
            if let Ok(provider @ (Provider::Fomo | Provider::Hicoin)) = account.provider.to_string().parse() {
                all.push((merchant.id, provider));
            }
        }
    }
    Ok(all)
}

/// Runs of a merchant, newest first, at most `limit`; and whether there are more.
pub async fn list(
    context: &Context,
    merchant: MerchantId,
    starting_after: Option<RunId>,
    limit: usize,
) -> Result<(Vec<RunRow>, bool), FlowError> {
    let found = reconciliations::list(&mut *context.db.get().await?, merchant, starting_after, page::asked(limit)).await?;
    Ok(page::shown(found, limit))
}

/// One run of a merchant.
pub async fn get(context: &Context, merchant: MerchantId, id: RunId) -> Result<RunRow, FlowError> {
    let found = reconciliations::get(&mut *context.db.get().await?, merchant, id).await?;
    found.ok_or(FlowError::NotFound("reconciliation"))
}

/// What a page came to.
#[derive(Default)]
struct Page {
    counts: Counts,
    /// Of what both sides were seen: findings about these that were not made again are closed.
    seen: Vec<Subject>,
    found: Vec<(Subject, Finding)>,
    balances: Option<serde_json::Value>,
    /// How far the leg has come. Absent: it is over.
    cursor: Option<String>,
}

impl Page {
    fn ask(&mut self) {
        self.counts.questions += 1;
    }
}

/// A page more of a run. `None` if somebody else has taken the run over.
async fn one_page(context: &Context, account: &ProviderAccount, run: &RunRow) -> Result<Option<RunRow>, FlowError> {
    let leg = run.leg()?;
    let page = match leg {
        _ if !walks(account, leg) => Page::default(),
        Leg::ToAddress => orders::by_our_ids(context, account, run, Way::ToAddress).await?,
        Leg::ToUser => orders::by_our_ids(context, account, run, Way::ToUser).await?,
        Leg::BetweenUsers => orders::by_our_ids(context, account, run, Way::BetweenUsers).await?,
        Leg::Deposits => orders::by_their_numbers(context, account, run).await?,
        Leg::Movements => movements::listed(context, account, run).await?,
        Leg::Balances => balances::asked(context, account, run).await?,
    };
    let next = if page.cursor.is_some() { Some(leg) } else { leg.next() };
    write(context, run, next, page).await
}

/// Whether the provider can be asked about what a leg compares.
fn walks(account: &ProviderAccount, leg: Leg) -> bool {
    let wallet = &account.wallet;
    match leg {
        Leg::ToAddress | Leg::ToUser | Leg::BetweenUsers => wallet.trade_lookups.is_some(),
        Leg::Deposits => wallet.reference_lookups.is_some(),
        Leg::Movements => wallet.deposit_feed.is_some(),
        Leg::Balances => wallet.users.is_some() && wallet.address_payouts.is_some(),
    }
}

async fn write(context: &Context, run: &RunRow, leg: Option<Leg>, page: Page) -> Result<Option<RunRow>, FlowError> {
    let provider = run.provider()?;
    let found =
        page.found.iter().map(|(subject, finding)| found_row(context, provider, subject, finding)).collect::<Result<Vec<_>, _>>()?;
    let closed = closed_rows(context, run, &page.seen, &found).await?;
    for (row, (_, finding)) in found.iter().zip(&page.found) {
        tracing::warn!(merchant = %run.merchant(), %provider, subject = row.subject, kind = %finding.kind, "the sides disagree");
    }
    let now = context.clock.now();
    let write = PageWrite {
        run,
        leg,
        cursor: page.cursor,
        counts: page.counts,
        found: &found,
        closed: &closed,
        balances: page.balances,
        now,
        leased_until: now + context.timing.lease,
    };
    point(Point::ReconcileCompared);
    let written = reconciliations::write_page(&mut *context.db.get().await?, &write).await?;
    point(Point::ReconcileWritten);
    if !found.is_empty() || !closed.is_empty() {
        context.wake.deliver.notify_one();
    }
    Ok(written)
}

fn found_row(context: &Context, provider: Provider, subject: &Subject, finding: &Finding) -> Result<FoundRow, FlowError> {
    let filed = discrepancy::file(context, provider, subject, "reconciliation", finding)?;
    Ok(FoundRow {
        discrepancy_id: filed.id.0,
        order_id: match subject {
            Subject::Order(order) => Some(order.id.0),
            Subject::Receipt(_) | Subject::Balance(_) => None,
        },
        subject: subject.key(),
        kind: finding.kind.into(),
        ours: finding.ours.clone(),
        theirs: finding.theirs.clone(),
        digest: hex::encode(filed.digest),
        event_id: filed.event_id.0,
        event: filed.event,
    })
}

/// What earlier comparisons found about these, and this one does not.
async fn closed_rows(context: &Context, run: &RunRow, seen: &[Subject], found: &[FoundRow]) -> Result<Vec<ClosedRow>, FlowError> {
    if seen.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = seen.iter().map(Subject::key).collect();
    let open = discrepancies::open_about(&mut *context.db.get().await?, run.merchant(), run.provider()?, &keys).await?;
    let mut now_about: HashMap<&str, Vec<&str>> = HashMap::new();
    for row in found {
        now_about.entry(&row.subject).or_default().push(&row.digest);
    }
    let mut closed = Vec::new();
    for row in open {
        let reason = match now_about.get(row.subject.as_str()) {
            Some(digests) if digests.contains(&hex::encode(&row.digest).as_str()) => continue,
            Some(_) => "the sides disagree in another way now",
            None => "both sides agree again",
        };
        let discrepancy_id = row.discrepancy_id;
        let (event_id, _, event) = discrepancy::resolved(context, row, ("reconciliation", reason))?;
        closed.push(ClosedRow { discrepancy_id, reason, event_id: event_id.0, event });
    }
    Ok(closed)
}

/// Lets the provider breathe between two questions.
async fn breathe(context: &Context) {
    if !context.reconciliation.pause.is_zero() {
        tokio::time::sleep(context.reconciliation.pause).await;
    }
}

/// The end of a period that ends now: what has just happened may not be listed yet.
pub fn latest_end(now: OffsetDateTime) -> OffsetDateTime {
    now - crate::domain::reconciliation::SETTLING
}
