use super::*;

fn opened(networks: &[&str]) -> Networks {
    networks.iter().map(|network| network.parse().unwrap()).collect::<Vec<ipnet::IpNet>>().into()
}

fn refusal(url: &str, allowed: &Networks) -> UrlError {
    check_url(url, allowed).expect_err(url)
}

/// Hosts that are not the internet, in every form that a URL or a system's resolver can write them.
const EVIL: [&str; 66] = [
    // Loopback: as it is, short, decimal, hexadecimal, octal, mixed, with a dot behind, encoded, in other digits.
    "127.0.0.1",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "00000177.0.0.1",
    "127.0.0.1.",
    "127%2e0%2e0%2e1",
    "%31%32%37.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "ⓛocalhost",
    // Unspecified, which Linux takes for loopback.
    "0",
    "0.0.0.0",
    "0.1.2.3",
    // Private.
    "10.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "0300.0250.0.1",
    // Link-local and metadata.
    "169.254.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    // Shared by carriers, benchmarks, documentation, relays, multicast, reserved, broadcast.
    "100.64.0.1",
    "100.127.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    // The same in IPv6.
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[100::1]",
    "[4000::1]",
    "[2001:2::1]",
    // Teredo, local NAT64, IPv4-translated.
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[64:ff9b:1::7f00:1]",
    "[::ffff:0:127.0.0.1]",
];

#[test]
fn every_form_of_an_internal_host_is_refused() {
    for host in EVIL {
        for port in ["", ":8443"] {
            assert_eq!(refusal(&format!("https://{host}{port}/x"), &Networks::default()), UrlError::AddressRefused, "{host}");
        }
        // What is opened elsewhere opens nothing here.
        assert_eq!(refusal(&format!("https://{host}/"), &opened(&["10.77.0.0/16", "fd77::/16"])), UrlError::AddressRefused, "{host}");
    }
}

#[test]
fn an_internal_host_inside_an_address_of_the_new_protocol_is_refused() {
    for inside in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0", "100.64.0.1"] {
        let [a, b, c, d] = inside.parse::<std::net::Ipv4Addr>().unwrap().octets();
        for host in [
            format!("[::ffff:{inside}]"),
            format!("[0:0:0:0:0:ffff:{a:02x}{b:02x}:{c:02x}{d:02x}]"),
            format!("[::{inside}]"),
            format!("[64:ff9b::{inside}]"),
            format!("[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1]"),
        ] {
            assert_eq!(refusal(&format!("https://{host}/"), &Networks::default()), UrlError::AddressRefused, "{host}");
        }
    }
}

#[test]
fn hosts_on_the_internet_are_accepted() {
    for host in [
        "shop.example",
        "shop.example:8443",
        "münchen.example",
        "notlocalhost",
        "8.8.8.8",
        "172.15.255.255",
        "172.32.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "[2606:4700:4700::1111]",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::8.8.8.8]",
    ] {
        let url = format!("https://{host}/hooks?token=1");
        assert!(check_url(&url, &Networks::default()).is_ok(), "{url}");
        assert_eq!(refusal(&url.replace("https", "http"), &Networks::default()), UrlError::PlainHttp, "{url}");
    }
}

#[test]
fn plain_http_is_for_opened_networks() {
    let networks = opened(&["127.0.0.0/8", "10.1.0.0/16"]);
    for open in ["127.0.0.1:3000", "localhost", "10.1.2.3", "0x7f.1", "[::ffff:10.1.2.3]", "a-name-to-be-resolved.svc"] {
        for scheme in ["http", "https"] {
            assert!(check_url(&format!("{scheme}://{open}/"), &networks).is_ok(), "{scheme}://{open}");
        }
    }
    assert_eq!(refusal("http://8.8.8.8/", &networks), UrlError::PlainHttp);
    assert_eq!(refusal("http://10.2.0.1/", &networks), UrlError::AddressRefused);
    assert_eq!(refusal("http://[::1]/", &networks), UrlError::AddressRefused);
    assert_eq!(refusal("http://localhost/", &opened(&["10.1.0.0/16"])), UrlError::AddressRefused);
}

#[test]
fn what_is_no_address_for_webhooks_is_refused_with_its_reason() {
    let long = format!("https://shop.example/{}", "a".repeat(2048));
    // It grows when it is encoded.
    let grows = format!("https://shop.example/{}", "ä".repeat(700));
    for (url, why) in [
        (long.as_str(), UrlError::TooLong),
        (&grows, UrlError::TooLong),
        ("https://user@shop.example/", UrlError::UserInfo),
        ("https://user:word@shop.example/", UrlError::UserInfo),
        ("https://:word@shop.example/", UrlError::UserInfo),
        ("https://shop.example@10.0.0.1/", UrlError::UserInfo),
        ("https://shop.example/#part", UrlError::Fragment),
        ("ftp://shop.example/", UrlError::OtherScheme),
        ("file:///etc/passwd", UrlError::OtherScheme),
        ("gopher://127.0.0.1:6379/x", UrlError::OtherScheme),
        ("javascript:alert(1)", UrlError::OtherScheme),
        ("localhost:3000", UrlError::OtherScheme),
    ] {
        assert_eq!(refusal(url, &Networks::default()), why, "{url}");
    }
    for unreadable in [
        "",
        "shop.example/hook",
        "//shop.example",
        "https://",
        "https://:443/",
        "https://shop.example:99999/",
        "https://256.1.1.1/",
        "https://1.2.3.4.5/",
        "https://0x100000000/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[::1/",
        "https://a b.example/",
        "https://a%00b.example/",
    ] {
        assert!(matches!(refusal(unreadable, &Networks::default()), UrlError::Unreadable(_)), "{unreadable}");
    }
    assert!(check_url(&format!("https://shop.example/{}", "a".repeat(2048 - 21)), &Networks::default()).is_ok());
}

#[test]
fn tricks_of_spelling_do_not_change_which_host_is_judged() {
    // A backslash is a slash, tabs and newlines vanish, and so do spaces around it: the URL that is kept is the one that was judged.
    for url in [
        "https:\\\\127.0.0.1\\x",
        " https://127.0.0.1/ ",
        "ht\ntps://127.\t0.0.1/",
        "https:127.0.0.1",
        "https:///127.0.0.1/",
        "HTTPS://127.0.0.1",
    ] {
        assert_eq!(refusal(url, &Networks::default()), UrlError::AddressRefused, "{url}");
    }
    let kept = check_url("https://shop.example\\@127.0.0.1/", &Networks::default()).unwrap();
    assert_eq!(kept.host_str(), Some("shop.example"));
}
