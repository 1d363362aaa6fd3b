//! What is signed is what arrives.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use secrecy::SecretString;

use super::*;

/// Values that an encoding may change, or a careless decoder.
fn nasty() -> impl Strategy<Value = String> {
    prop_oneof!["[+&=% #?/é币;\"]{1,12}", "\\PC{1,20}", Just(" %2B86+ ".to_owned()), Just("a=b&sign=c".to_owned())]
}

#[test]
fn what_travels_parses_back_to_what_was_signed() {
    const CASES: u32 = 100;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (hicoin, server) = runtime.block_on(hicoin(&[NONE; 2 * CASES as usize + 2]));
    let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
    let check = |(one, other): (String, String)| {
        runtime.block_on(async {
            let number: SecretString = other.clone().into();
            let _ = hicoin.register(&Contact::Mobile { country: one.clone(), number }).await;
            let _ = hicoin.balance(&one, &other).await;
        });
        let all = server.seen();
        for seen in &all[all.len() - 2..] {
            let parameters = parameters_of(seen);
            prop_assert!(is_signed(&parameters), "{:?}", parameters);
            prop_assert!(parameters.iter().all(|(_, value)| !value.trim().is_empty() && value.trim() == value));
            let of = |names: [&str; 2]| parameters.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_str());
            prop_assert_eq!(of(["country", "uid"]).unwrap_or_default(), one.trim());
            prop_assert_eq!(of(["mobile", "symbol"]).unwrap_or_default(), other.trim());
        }
        Ok(())
    };
    runner.run(&(nasty(), nasty()), check).unwrap();
}
