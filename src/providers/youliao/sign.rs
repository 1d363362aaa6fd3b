//! Youliao's signature (`youliao.md`).

use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};

/// A parameter's name and value.
pub type Parameter<'a> = (&'a str, &'a str);

/// Signs a call: lowercase hex MD5 of its parameters in the order of their names, with the secret behind
/// them, in UTF-8. Values are signed as they are, before any encoding for the way.
pub fn sign(parameters: &[Parameter<'_>], app_secret: &SecretString) -> String {
    let mut sorted: Vec<_> = parameters.iter().filter(|(name, _)| *name != "sign").collect();
    sorted.sort_unstable();
    let pairs: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut hash = Md5::new();
    hash.update(pairs.join("&"));
    hash.update(app_secret.expose_secret());
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is hashed, put together by hand: the five names in the order of their letters, capitals first.
    fn signed_otherwise(secret: &str, [amount, app_id, identity, mobile, name]: [&str; 5]) -> String {
        let mut text = String::from("amount=");
        text += amount;
        text += "&appId=";
        text += app_id;
        text += "&identity=";
        text += identity;
        text += "&mobile=";
        text += mobile;
        text += "&name=";
        text += name;
        text += secret;
        Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parameters([amount, app_id, identity, mobile, name]: [&str; 5]) -> Vec<Parameter<'_>> {
        vec![("mobile", mobile), ("name", name), ("appId", app_id), ("amount", amount), ("identity", identity)]
    }

    #[test]
    fn the_signature_is_what_another_program_computes() {
        // By `md5sum`. The first is the document's example as printed; the digest beside it is of the values behind the asterisks.
        for (secret, values, known) in [
            (
                "1234567890",
                ["30000", "1111166059554922498", "330823********2115", "137****9882", "王**"],
                "182368f267af0992e1d330ffdd517f66",
            ),
            (
                "acme-youliao-secret",
                ["1.23", "acme-youliao", "11010519491231002X", "13812349882", "王小明"],
                "a10ddc8cd8f6ed70fa9610e0e2f038e5",
            ),
            ("s", ["30000.00", "a", "11010519491231002X", "19912345678", "A+b&c=d %é😀"], "f702709640f0b7d31947f7db0d0f164d"),
        ] {
            assert_eq!(sign(&parameters(values), &secret.into()), known);
            assert_eq!(signed_otherwise(secret, values), known);
        }
    }

    /// Values that a careless encoding would change.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof!["[+&=% #?/é币;]{0,6}", ".{0,12}", "[a-z0-9]{0,9}"]
    }

    proptest! {
        #[test]
        fn any_values_sign_as_anybody_else_would(values in proptest::array::uniform5(value()), secret in ".{0,40}") {
            let values = values.each_ref().map(String::as_str);
            let mut all = parameters(values);
            prop_assert_eq!(sign(&all, &secret.clone().into()), signed_otherwise(&secret, values));
            all.reverse();
            all.push(("sign", "anything"));
            prop_assert_eq!(sign(&all, &secret.clone().into()), signed_otherwise(&secret, values));
        }
    }
}
