use super::*;
use crate::webhooks::Networks;

fn rule(plain: bool, opened: &[&str]) -> Rule {
    let opened: Vec<ipnet::IpNet> = opened.iter().map(|network| network.parse().unwrap()).collect();
    Rule { plain, allowed: Networks::new(opened) }
}

fn kept(rule: &Rule, found: &[&str]) -> Result<Vec<String>, UrlError> {
    let found: Vec<SocketAddr> = found.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect();
    Ok(keep(rule, &found)?.into_iter().map(|address| address.ip().to_string()).collect())
}

async fn resolve(rule: Rule, name: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(CheckedResolver(rule).resolve(name.parse().unwrap()).await?.collect())
}

#[tokio::test]
async fn a_name_of_loopback_is_refused_until_its_network_is_opened() {
    for plain in [false, true] {
        let refused = resolve(rule(plain, &[]), "localhost").await.unwrap_err();
        assert_eq!(refused.downcast_ref(), Some(&UrlError::AddressRefused));
        let open = resolve(rule(plain, &["127.0.0.0/8", "::1/128"]), "localhost").await.unwrap();
        assert!(!open.is_empty() && open.iter().all(|address| address.ip().is_loopback()), "{open:?}");
    }
}

#[tokio::test]
async fn what_only_a_system_reads_as_an_address_is_judged_as_well() {
    // URLs never hold these as names; getaddrinfo would read them.
    for name in ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "::ffff:127.0.0.1", "::1%lo"] {
        let answer = resolve(rule(false, &[]), name).await;
        assert!(answer.is_err(), "{name}: {answer:?}");
    }
}

#[test]
fn only_the_good_addresses_of_a_name_are_connected_to() {
    let rule_of_https = rule(false, &[]);
    assert_eq!(kept(&rule_of_https, &["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1"]).unwrap(), ["8.8.8.8", "2606:4700::1"]);
    assert_eq!(kept(&rule_of_https, &["10.0.0.1", "::ffff:169.254.169.254"]), Err(UrlError::AddressRefused));
    assert_eq!(kept(&rule(false, &["10.0.0.0/8"]), &["10.0.0.1", "8.8.8.8"]).unwrap(), ["10.0.0.1", "8.8.8.8"]);
    assert_eq!(kept(&rule(true, &["127.0.0.0/8"]), &["::1", "127.0.0.1"]).unwrap(), ["127.0.0.1"]);
}

#[test]
fn plain_http_goes_to_opened_networks_alone() {
    let rule = rule(true, &["10.0.0.0/8"]);
    assert_eq!(kept(&rule, &["10.0.0.1", "8.8.8.8"]).unwrap(), ["10.0.0.1"]);
    assert_eq!(kept(&rule, &["8.8.8.8"]), Err(UrlError::PlainHttp));
    assert_eq!(kept(&rule, &["127.0.0.1"]), Err(UrlError::AddressRefused));
}
