//! Users (hicoin-openapi.rst, sections 4.1 to 4.3) and what they own (4.4 to 4.6).

use super::Desk;
use super::code::{self, Refusal};
use super::wire::Done;

/// By what a user is known.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Contact {
    /// The merchant's own account, which nobody registers.
    Merchant,
    Mobile {
        country: String,
        mobile: String,
    },
    Email(String),
}

pub(super) struct User {
    pub(super) contact: Contact,
    /// Withdrawals are refused (code 110004).
    pub(super) frozen: bool,
}

impl User {
    pub(super) fn merchant() -> Self {
        Self { contact: Contact::Merchant, frozen: false }
    }

    /// The contact with its middle hidden, as in the sample of section 4.3.
    pub(super) fn nickname(&self) -> String {
        let head = |text: &str| text.chars().take(3).collect::<String>();
        match &self.contact {
            Contact::Merchant => "merchant".to_owned(),
            Contact::Mobile { mobile, .. } => format!("{}****{}", head(mobile), &mobile[mobile.len().saturating_sub(4)..]),
            Contact::Email(email) => format!("{}****", head(email)),
        }
    }
}

impl Desk<'_> {
    /// Section 4.1: 110089 for a number that is none, 110023 for one that is registered.
    pub(super) fn create_user(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["country", "mobile"])?;
        let (country, mobile) = (self.form.get("country"), self.form.get("mobile"));
        if !country.strip_prefix('+').is_some_and(|code| is_digits(code, 1, 4)) {
            return Err(Refusal::parameter("country"));
        }
        if !is_digits(mobile, 5, 15) {
            return Err(code::MOBILE.into());
        }
        let contact = Contact::Mobile { country: country.to_owned(), mobile: mobile.to_owned() };
        self.register(contact, code::MOBILE_KNOWN)
    }

    /// Section 4.2. A registered address has no code of its own: 110101 says that registering failed.
    pub(super) fn register_email(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["email"])?;
        let email = self.form.get("email");
        let valid = |(name, host): (&str, &str)| !name.is_empty() && host.contains('.') && !host.contains('@');
        if email.contains(char::is_whitespace) || !email.split_once('@').is_some_and(valid) {
            return Err(Refusal::parameter("email"));
        }
        self.register(Contact::Email(email.to_owned()), code::NOT_REGISTERED)
    }

    fn register(&mut self, contact: Contact, known: i64) -> Result<Done, Refusal> {
        if self.app.users.values().any(|user| user.contact == contact) {
            return Err(known.into());
        }
        let uid = self.app.users.last_key_value().map_or(self.app.setup.uid, |(last, _)| last + 1);
        self.app.users.insert(uid, User { contact, frozen: false });
        Ok(Done::Registered { uid })
    }

    /// Section 4.3: by mobile, in one country where it is named, or by email; one of them is needed.
    pub(super) fn user_info(&self) -> Result<Done, Refusal> {
        let (country, mobile, email) = (self.form.get("country"), self.form.get("mobile"), self.form.get("email"));
        if mobile.is_empty() && email.is_empty() {
            return Err(Refusal::parameter("mobile"));
        }
        let meant = |user: &&User| match &user.contact {
            Contact::Merchant => false,
            Contact::Mobile { country: own, mobile: number } => mobile == number && (country.is_empty() || country == own),
            Contact::Email(own) => mobile.is_empty() && email == own,
        };
        let found = self.app.users.iter().find(|(_, user)| meant(user));
        let (uid, user) = found.ok_or(code::NO_SUCH_USER)?;
        Ok(Done::User { uid: *uid, nickname: user.nickname() })
    }

    /// Section 4.4; the address is in the sample alone.
    pub(super) fn get_by_uid_and_symbol(&self) -> Result<Done, Refusal> {
        self.form.require(&["uid", "symbol"])?;
        let (uid, coin) = (self.known_uid("uid")?, self.coin()?);
        let address = self.app.accounts.known_address(uid, &coin.symbol);
        Ok(Done::Account { balance: self.app.accounts.balance(uid, &coin.symbol), address })
    }

    /// Section 4.5.
    pub(super) fn get_all_account(&self) -> Result<Done, Refusal> {
        self.form.require(&["uid"])?;
        Ok(Done::Accounts(self.app.accounts.of(self.known_uid("uid")?)))
    }

    /// Section 4.6: makes the address, if there is none yet, and no account.
    pub(super) fn get_deposit_address(&mut self) -> Result<Done, Refusal> {
        self.form.require(&["uid", "symbol"])?;
        let (uid, coin) = (self.known_uid("uid")?, self.coin()?);
        let address = self.app.accounts.address(&self.app.setup.app_id, uid, &coin.symbol);
        Ok(Done::Address { uid, address })
    }

    /// Section 4.10.
    pub(super) fn get_coin_list(&self) -> Done {
        Done::Coins(self.app.coins.clone())
    }
}

fn is_digits(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
