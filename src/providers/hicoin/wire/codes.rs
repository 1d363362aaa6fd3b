//! Hicoin's codes (`hicoin-openapi.rst`, appendix 2), and what each means for a call.

use crate::domain::report::{self, Outcome};
use crate::providers::AskError;

macro_rules! codes {
    ($($name:ident = $number:literal, $ours:literal, $meaning:literal;)*) => {
        /// Hicoin's codes (`hicoin-openapi.rst`, appendix 2), with their documented meaning.
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

            /// Hicoin's number.
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
    Success = 0, "success", "success";
    SystemError = 100_001, "provider_error", "an internal error of the provider";
    ParameterInvalid = 100_004, "parameter_invalid", "a parameter is not valid";
    SignatureWrong = 100_005, "signature_wrong", "the signature is wrong";
    SourceNotAllowed = 100_007, "source_not_allowed", "calls from this IP address are not allowed";
    MerchantUnknown = 100_015, "client_invalid", "the merchant's id is not valid";
    MerchantExpired = 100_016, "client_expired", "the merchant's registration has expired";
    UserFrozen = 110_004, "user_frozen", "the user is frozen and cannot withdraw";
    MobileTaken = 110_023, "mobile_taken", "the mobile number is registered already";
    AddressInvalid = 110_055, "address_invalid", "the address is wrong";
    UserUnknown = 110_065, "user_unknown", "the user does not exist";
    AmountTooSmall = 110_078, "amount_too_small", "the amount is below the smallest that can be moved";
    AmountTooLarge = 110_087, "amount_too_large", "the amount is above the largest that can be moved";
    RequestRepeated = 110_088, "trade_id_repeated", "the request was submitted before";
    MobileInvalid = 110_089, "mobile_invalid", "the mobile number is wrong";
    RegistrationFailed = 110_101, "registration_failed", "the user could not be registered";
    CoinNotSupported = 120_202, "coin_not_supported", "the coin is not supported";
    InsufficientBalance = 120_402, "insufficient_balance", "the balance is too low";
    InsufficientBalanceForFee = 120_403, "insufficient_balance_for_fee", "the balance is too low for the withdrawal fee";
    AmountBelowFee = 120_404, "amount_below_fee", "the amount is not greater than the fee";
}

impl Code {
    /// What the code means as an answer to a call about an order; `None` where it was taken.
    ///
    /// The codes of registration have no documented meaning here, so they prove nothing.
    pub fn outcome(self) -> Option<Outcome> {
        Some(match self {
            Self::Success => return None,
            Self::RequestRepeated => Outcome::Duplicate(None),
            Self::SignatureWrong | Self::SourceNotAllowed => Outcome::Misconfigured(self.report()),
            Self::ParameterInvalid
            | Self::MerchantUnknown
            | Self::MerchantExpired
            | Self::UserFrozen
            | Self::AddressInvalid
            | Self::UserUnknown
            | Self::AmountTooSmall
            | Self::AmountTooLarge
            | Self::CoinNotSupported
            | Self::InsufficientBalance
            | Self::InsufficientBalanceForFee
            | Self::AmountBelowFee => Outcome::Refused(self.report()),
            Self::SystemError | Self::MobileTaken | Self::MobileInvalid | Self::RegistrationFailed | Self::Unknown(_) => {
                Outcome::Unknown(self.text())
            }
        })
    }

    /// What the code means as an answer to a question, or to a call that moves no money; `None`
    /// where it was answered.
    pub fn ask_error(self) -> Option<AskError> {
        Some(match self {
            Self::Success => return None,
            Self::SignatureWrong | Self::SourceNotAllowed | Self::MerchantUnknown | Self::MerchantExpired => {
                AskError::Misconfigured(self.report())
            }
            Self::ParameterInvalid
            | Self::UserFrozen
            | Self::MobileTaken
            | Self::AddressInvalid
            | Self::UserUnknown
            | Self::AmountTooSmall
            | Self::AmountTooLarge
            | Self::RequestRepeated
            | Self::MobileInvalid
            | Self::RegistrationFailed
            | Self::CoinNotSupported
            | Self::InsufficientBalance
            | Self::InsufficientBalanceForFee
            | Self::AmountBelowFee => AskError::Refused(self.report()),
            Self::SystemError | Self::Unknown(_) => AskError::Unavailable(self.text()),
        })
    }

    /// The code with its meaning, for humans.
    pub fn text(self) -> String {
        format!("code {}: {}", self.number(), self.meaning())
    }

    /// The code as reports carry it.
    fn report(self) -> report::Code {
        report::Code { code: self.name(), provider_code: self.number().to_string(), message: self.meaning().to_owned() }
    }
}
