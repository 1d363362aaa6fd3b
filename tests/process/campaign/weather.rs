//! What goes wrong around the gateways: at the wallets, on the lines, and with the database.

use std::time::Duration;

use futures_util::future::join3;
use tillgate::sandbox::{CallbackFault, Fault, Times};

use super::script::Kind;
use super::site::Site;
use crate::chaos::Dice;
use crate::program::pass;

/// All that is open on a line is reset or goes silent about so often.
const LINES: Duration = Duration::from_secs(3);

/// Plays it until the faults are over.
pub async fn weather(site: &Site<'_>, mut dice: Dice) {
    let (wallets, lines, postgres) = (dice.split(), dice.split(), dice.split());
    join3(at_the_wallets(site, wallets), on_the_lines(site, lines), of_the_database(site, postgres)).await;
}

async fn at_the_wallets(site: &Site<'_>, mut dice: Dice) {
    let (sandbox, weather) = (&site.house.sandbox, &site.script.weather);
    if weather.faults.is_empty() && !weather.forgets && !weather.lies {
        return;
    }
    while goes_on_for(site, dice_of(&mut dice, weather.every)).await {
        if dice.between(0, 5) == 0 {
            sandbox.release();
        }
        if !weather.faults.is_empty() {
            let (operation, fault) = (*dice.one_of(weather.operations), dice.one_of(&weather.faults).clone());
            site.tally.add(&format!("wallet: {}", name(&fault)), 1);
            sandbox.inject(operation, None, fault, Times::Count(1));
        }
        if weather.forgets && dice.between(0, 12) == 0 {
            let list = *dice.one_of(&["withdrawList", "systemTransferList", "transferList"]);
            site.tally.add("wallet: forgets for long", 1);
            sandbox.inject(list, None, Fault::Omit, Times::Count(u32::try_from(dice.between(2, 12)).expect("a small number")));
        }
        if weather.lies && dice.between(0, 3) == 0 {
            let (order, lie) = match dice.between(0, 3) {
                0 => (None, CallbackFault::Repeat(u32::try_from(dice.between(2, 30)).expect("a small number"))),
                1 => (Some(contradicted(site, &mut dice)), CallbackFault::Contradict),
                _ => (None, CallbackFault::Repeat(2)),
            };
            site.tally.add("callback: repeated or contradicted", 1);
            sandbox.inject_callback(order.as_deref(), lie, Times::Count(1));
        }
    }
}

/// An order whose callbacks the wallet itself contradicts. None that FOMO pays: where the lie is all that comes, nobody there can be
/// asked for the truth, and it is believed (docs/RELIABILITY.md says so).
fn contradicted(site: &Site<'_>, dice: &mut Dice) -> String {
    let orders = site.script.orders as u64;
    let number = usize::try_from(dice.between(0, orders)).expect("a number");
    let number = (number..).find(|number| site.script.kind(*number) != Kind::FomoPayout).expect("not all are");
    site.script.kind(number).trade_id(number)
}

fn name(fault: &Fault) -> String {
    format!("{fault:?}").split('(').next().unwrap_or_default().to_lowercase()
}

fn dice_of(dice: &mut Dice, most: Duration) -> Duration {
    Duration::from_millis(dice.between(0, 1 + 2 * u64::try_from(most.as_millis()).unwrap_or_default()))
}

/// Lets so much time pass. `false`: the faults are over before.
async fn goes_on_for(site: &Site<'_>, time: Duration) -> bool {
    let mut left = time;
    while !left.is_zero() && !site.is_over() {
        let glance = left.min(Duration::from_millis(100));
        pass(glance).await;
        left -= glance;
    }
    !site.is_over()
}

/// Now and then everything that is open is reset at once, or goes silent, as if the machine at the other end had lost its power.
async fn on_the_lines(site: &Site<'_>, mut dice: Dice) {
    let lines = [("database", &site.database, site.script.database), ("wallet", &site.wallets, site.script.wallets)];
    while goes_on_for(site, dice_of(&mut dice, LINES)).await {
        let (name, line, trouble) = *dice.one_of(&lines);
        if trouble.often > 0 {
            match dice.between(0, 3) {
                0 => {
                    line.silence_all();
                    site.tally.add(&format!("{name}: all silent"), 1);
                }
                _ => {
                    line.reset_all();
                    site.tally.add(&format!("{name}: all reset"), 1);
                }
            }
        }
    }
}

async fn of_the_database(site: &Site<'_>, mut dice: Dice) {
    let Some(every) = site.script.postgres else { return };
    while goes_on_for(site, dice_of(&mut dice, every)).await {
        site.server.kill();
        site.tally.add("postgres killed", 1);
        dice.wait(1000).await;
        site.server.up(&[&site.database]).await;
    }
}
