use proptest::prelude::*;

use super::*;

fn opened(networks: &[&str]) -> Networks {
    networks.iter().map(|network| network.parse().unwrap()).collect::<Vec<IpNet>>().into()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_the_operator_opens_is_open_and_nothing_beside_it() {
    let networks = opened(&["127.0.0.0/8", "10.1.0.0/16", "fd12::/16"]);
    for open in ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1"] {
        assert_eq!(networks.judge(address(open)), Standing::Opened, "{open}");
    }
    for shut in ["::1", "10.2.0.1", "::ffff:10.2.0.1", "64:ff9b::10.2.0.1", "169.254.169.254", "fd13::1", "fd00:ec2::254"] {
        assert_eq!(networks.judge(address(shut)), Standing::Refused, "{shut}");
    }
    assert_eq!(networks.judge(address("8.8.8.8")), Standing::Public);
}

#[test]
fn an_open_network_of_the_new_protocol_opens_none_of_the_old() {
    let networks = opened(&["::1/128", "2000::/3", "fc00::/7"]);
    for shut in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
        assert_eq!(networks.judge(address(shut)), Standing::Refused, "{shut}");
    }
}

/// What the standard library knows to be no public address.
fn known_to_be_internal(address: Ipv4Addr) -> bool {
    address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
}

proptest! {
    #[test]
    fn nothing_internal_is_public_in_any_form(bits in any::<u32>(), near in prop::sample::select(vec![0, 10, 127, 169, 172, 192, 198, 203, 224, 255])) {
        for bits in [bits, (bits & 0x00ff_ffff) | near << 24] {
            let v4 = Ipv4Addr::from_bits(bits);
            let networks = Networks::default();
            let standing = networks.judge(v4.into());
            if known_to_be_internal(v4) {
                prop_assert_eq!(standing, Standing::Refused, "{}", v4);
            }
            // The forms that reach the same host are judged the same.
            let [a, b, c, d] = v4.octets();
            let nat64 = Ipv6Addr::from_bits(u128::from(u32::from_be_bytes([a, b, c, d])) | 0x64_ff9b << 96);
            prop_assert_eq!(networks.judge(v4.to_ipv6_mapped().into()), standing);
            prop_assert_eq!(networks.judge(nat64.into()), standing);
            // And those that are not to be used are refused, whatever they hide.
            let sixtofour = Ipv6Addr::from_bits(0x2002 << 112 | u128::from(bits) << 80);
            prop_assert_eq!(networks.judge(v4.to_ipv6_compatible().into()), Standing::Refused);
            prop_assert_eq!(networks.judge(sixtofour.into()), Standing::Refused);
        }
    }

    #[test]
    fn of_the_new_protocol_only_what_is_given_out_is_public(bits in any::<u128>()) {
        let v6 = Ipv6Addr::from_bits(bits);
        if Networks::default().judge(v6.into()) == Standing::Public {
            prop_assert!(v6.segments()[0] & 0xe000 == 0x2000 && !v6.is_unique_local() && !v6.is_multicast() && !v6.is_loopback());
        }
    }
}
