//! Hicoin's signature (`hicoin-openapi.rst`, appendix 1).

use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};

/// A parameter's name and value.
pub type Parameter<'a> = (&'a str, &'a str);

/// The parameters as they are signed and sent: values trimmed, and without those that are empty
/// then. The document's text, its Java and its PHP treat empty and padded values in three ways; what
/// has neither is signed alike by all of them.
pub fn plain<'a>(parameters: &[Parameter<'a>]) -> Vec<Parameter<'a>> {
    parameters.iter().map(|(name, value)| (*name, value.trim())).filter(|(_, value)| !value.is_empty()).collect()
}

/// Signs a call: lowercase hex MD5 of its [`plain`] parameters in the order of their names, with the
/// secret behind them. Values are signed as they are, before any encoding for the way.
pub fn sign(parameters: &[Parameter<'_>], app_secret: &SecretString) -> String {
    let mut sorted = plain(parameters);
    sorted.retain(|(name, _)| *name != "sign");
    sorted.sort_unstable();
    let pairs: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut hash = Md5::new();
    hash.update(pairs.join("&"));
    hash.update(app_secret.expose_secret());
    hex::encode(hash.finalize())
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "4dedb14fae76dae682de02e671eac408";
    const PUBLISHED: [Parameter<'static>; 4] =
        [("app_id", "16a9f17fc2ad61ca4339fdd6a8a37f21"), ("country", "+86"), ("mobile", "15004648456"), ("time", "1551325752")];

    /// The signature by other means than those under test: a sorted map of what came.
    pub fn signed_otherwise<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>, secret: &str) -> String {
        let map: BTreeMap<_, _> = parameters.into_iter().filter(|(name, value)| *name != "sign" && !value.is_empty()).collect();
        let mut text = String::new();
        for (name, value) in map {
            text.push_str(if text.is_empty() { "" } else { "&" });
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        hex::encode(Md5::digest(format!("{text}{secret}")))
    }

    #[test]
    fn the_published_call_has_the_known_signature() {
        assert_eq!(sign(&PUBLISHED, &SECRET.into()), "f0688315c0f13b6880549f7b4ea031ef");
        let padded: Vec<_> = PUBLISHED.iter().rev().copied().chain([("sign", "x"), ("email", ""), ("focus_online", " \t")]).collect();
        assert_eq!(sign(&padded, &SECRET.into()), "f0688315c0f13b6880549f7b4ea031ef");
    }

    #[test]
    fn zero_is_no_empty_value() {
        assert_eq!(plain(&[("max_id", "0"), ("a", ""), ("b", " c ")]), [("max_id", "0"), ("b", "c")]);
        assert_ne!(sign(&[("max_id", "0")], &SECRET.into()), sign(&[], &SECRET.into()));
    }

    /// Parameters with different names, and values that would be changed by a careless encoding.
    fn parameters() -> impl Strategy<Value = Vec<(String, String)>> {
        let value = prop_oneof!["[+&=% #?/é币;]{0,6}", ".{0,12}", "[a-z0-9]{0,9}"];
        proptest::collection::btree_map("[a-zA-Z_]{1,8}", value, 0..7).prop_map(|map| map.into_iter().collect())
    }

    fn borrowed(parameters: &[(String, String)]) -> Vec<Parameter<'_>> {
        parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    proptest! {
        #[test]
        fn the_order_of_parameters_and_empty_ones_change_nothing(
            (sorted, shuffled) in parameters().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            empty in "[ \t]{0,3}", secret in "[a-f0-9]{0,32}",
        ) {
            let secret = SecretString::from(secret);
            let expected = sign(&borrowed(&sorted), &secret);
            let mut more = borrowed(&shuffled);
            more.insert(0, ("empty-one", &empty));
            more.push(("sign", "anything"));
            prop_assert_eq!(sign(&more, &secret), expected);
        }

        #[test]
        fn it_is_what_anybody_else_computes(all in parameters(), secret in ".{0,40}") {
            let trimmed: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
            prop_assert_eq!(sign(&borrowed(&all), &secret.clone().into()), signed_otherwise(trimmed, &secret));
        }

        #[test]
        fn another_value_signs_otherwise(all in parameters(), value in "[a-z]{1,8}") {
            let mut other = borrowed(&all);
            other.push(("one-more", &value));
            prop_assert_ne!(sign(&other, &SECRET.into()), sign(&borrowed(&all), &SECRET.into()));
        }
    }
}
