//! FOMO's status codes (appendix 1), and what each means for a call.

use crate::domain::report;

macro_rules! codes {
    ($($name:ident = $number:literal, $ours:literal, $meaning:literal;)*) => {
        /// FOMO's status codes (appendix 1), with their documented meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
            /// A code that the document does not list.
            Unknown(i64),
        }

        impl Code {
            /// Every code of the document.
            pub const DOCUMENTED: &[Self] = &[$(Self::$name,)*];

            /// Reads a code. One that is not documented is kept.
            pub fn from_number(number: i64) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Unknown(other),
                }
            }

            /// FOMO's number.
            pub fn number(self) -> i64 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// Our stable name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $ours,)*
                    Self::Unknown(_) => "provider_code",
                }
            }

            /// The documented meaning, for humans.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                    Self::Unknown(_) => "a code that the provider does not document",
                }
            }
        }
    };
}

codes! {
    ParameterMissing = 0, "parameter_missing", "a parameter is missing";
    Success = 1, "success", "success";
    NotLoggedIn = 2, "link_expired", "the user is not logged in";
    SessionInvalid = 3, "link_expired", "the session is invalid, or the user does not exist";
    InternalError = 5, "provider_error", "an internal error of the provider";
    StatusUnknown = 6, "provider_error", "the provider does not know the status code";
    SignatureWrong = 7, "signature_wrong", "the signature is wrong";
    SignatureExpired = 8, "signature_expired", "the signature is too old";
    UserNameWrong = 11, "user_name_wrong", "the user name is wrong";
    PasswordWrong = 12, "password_wrong", "the password is wrong";
    CoinNotSupported = 21, "coin_not_supported", "the coin is not supported";
    NoAddress = 22, "address_unavailable", "no address can be assigned";
    CoinUnknown = 23, "coin_unknown", "the coin does not exist";
    InsufficientBalance = 24, "insufficient_balance", "the balance is too low";
    PaymentPasswordNotSet = 25, "payment_password_not_set", "no payment password is set";
    PaymentPasswordWrong = 26, "payment_password_wrong", "the payment password is wrong";
    NotPermitted = 54, "not_permitted", "the operation is not permitted";
    RecipientUnknown = 74, "recipient_unknown", "the user does not exist";
    ClientIdMalformed = 80, "client_invalid", "the client id is malformed";
    ClientIdTaken = 81, "client_taken", "the client id is registered already";
    ClientIdUnknown = 82, "client_invalid", "the client id does not exist";
    UserNotRegistered = 107, "user_not_registered", "the user's registration cannot be found";
    TradeIdRepeated = 211, "trade_id_repeated", "the trade id was used before";
    TransferUnknown = 212, "transfer_unknown", "the transfer does not exist";
    TransferExpired = 213, "transfer_expired", "the transfer has expired";
}

/// A call that opens or makes a movement of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Asks FOMO to expect a user's payment. Moves nothing by itself (part three, section 2).
    PrePay,
    /// Pays a user (part three, section 4).
    PayUser,
}

/// What a code means for a [`Verb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// FOMO took it.
    Accepted,
    /// A final refusal: nothing moved.
    Refused,
    /// FOMO has this trade id already.
    Duplicate,
    /// FOMO refuses us: our secret or our clock.
    Misconfigured,
    /// It proves nothing either way.
    Unknown,
}

impl Code {
    /// What the code means as an answer to this call.
    pub fn class(self, verb: Verb) -> Class {
        match self {
            Self::Success => Class::Accepted,
            Self::TradeIdRepeated => Class::Duplicate,
            Self::SignatureWrong | Self::SignatureExpired => Class::Misconfigured,
            Self::CoinNotSupported
            | Self::CoinUnknown
            | Self::InsufficientBalance
            | Self::PaymentPasswordNotSet
            | Self::PaymentPasswordWrong
            | Self::NotPermitted
            | Self::RecipientUnknown
            | Self::ClientIdMalformed
            | Self::ClientIdUnknown => Class::Refused,
            Self::ParameterMissing | Self::NotLoggedIn | Self::SessionInvalid | Self::NoAddress | Self::UserNotRegistered => match verb {
                Verb::PrePay => Class::Refused,
                Verb::PayUser => Class::Unknown,
            },
            Self::InternalError
            | Self::StatusUnknown
            | Self::UserNameWrong
            | Self::PasswordWrong
            | Self::ClientIdTaken
            | Self::TransferUnknown
            | Self::TransferExpired
            | Self::Unknown(_) => Class::Unknown,
        }
    }

    /// The code as reports carry it.
    pub(super) fn report(self) -> report::Code {
        report::Code { code: self.name(), provider_code: self.number().to_string(), message: self.meaning().to_owned() }
    }
}
