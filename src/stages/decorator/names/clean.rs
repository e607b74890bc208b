//! What of a name that DNS has is said, and what a cluster's own names are made of.

/// The end of the names of a cluster's services.
const CLUSTER: &str = ".svc.cluster.local";

/// `name`, which DNS has for `address`, without what all names of a cluster or of the own `namespace`
/// have in common, and without the address itself in front (`10-0-0-7.web`).
pub(super) fn clean<'a>(name: &'a str, address: &str, namespace: &str) -> &'a str {
    let name = without_end(name.strip_suffix('.').unwrap_or(name), CLUSTER);
    let name = match without_end(name, namespace).strip_suffix('.') {
        Some(front) if !namespace.is_empty() => front,
        _ => name,
    };
    match name.split_at_checked(address.len()) {
        Some((front, rest)) if is_dashed(front, address) => rest.strip_prefix('.').unwrap_or(name),
        _ => name,
    }
}

/// Service and namespace of a host of a cluster; of any other, the host and nothing.
pub(super) fn split(host: &str) -> (&str, &str) {
    let host = host.strip_suffix('.').unwrap_or(host);
    let name = without_end(host, CLUSTER);
    if name.len() == host.len() {
        return (host, "");
    }
    name.split_once('.').unwrap_or((name, ""))
}

/// `text` without `end`, upper or lower case.
fn without_end<'a>(text: &'a str, end: &str) -> &'a str {
    let at = text.len().checked_sub(end.len());
    match at.and_then(|at| text.split_at_checked(at)) {
        Some((front, back)) if back.eq_ignore_ascii_case(end) => front,
        _ => text,
    }
}

/// Whether `text` is `address` with dashes for dots.
fn is_dashed(text: &str, address: &str) -> bool {
    text.bytes().eq(address.bytes().map(|byte| if byte == b'.' { b'-' } else { byte }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_names_have_in_common_is_cut() {
        for (name, address, namespace, expected) in [
            ("db.example.", "10.0.0.7", "", "db.example"),
            ("db.example", "10.0.0.7", "", "db.example"),
            ("cart.shop.svc.cluster.local.", "10.0.0.7", "shop", "cart"),
            ("cart.shop.svc.cluster.local", "10.0.0.7", "", "cart.shop"),
            ("Cart.SHOP.Svc.Cluster.LOCAL.", "10.0.0.7", "shop", "Cart"),
            ("cart.shop.svc.cluster.local.", "10.0.0.7", "bank", "cart.shop"),
            ("cart.workshop.", "10.0.0.7", "shop", "cart.workshop"),
            ("cart.shop.example.", "10.0.0.7", "shop", "cart.shop.example"),
            ("shop.", "10.0.0.7", "shop", "shop"),
            ("10-0-0-7.cart.shop.svc.cluster.local.", "10.0.0.7", "shop", "cart"),
            ("10-0-0-7.example.", "10.0.0.7", "", "example"),
            ("10-0-0-70.example.", "10.0.0.7", "", "10-0-0-70.example"),
            ("10-0-0-8.example.", "10.0.0.7", "", "10-0-0-8.example"),
            ("ip-10-0-0-7.example.", "10.0.0.7", "", "ip-10-0-0-7.example"),
            ("10-0-0-7.", "10.0.0.7", "", "10-0-0-7"),
            (".svc.cluster.local.", "10.0.0.7", "", ""),
            ("2001-db8--7.example.", "2001:db8::7", "", "2001-db8--7.example"),
            ("a", "10.0.0.7", "", "a"),
            (".", "10.0.0.7", "", ""),
            ("", "10.0.0.7", "shop", ""),
        ] {
            assert_eq!(clean(name, address, namespace), expected, "{name} {address} {namespace}");
        }
    }

    #[test]
    fn a_host_of_a_cluster_is_a_service_in_a_namespace() {
        for (host, expected) in [
            ("shop.example", ("shop.example", "")),
            ("shop.example.", ("shop.example", "")),
            ("cart.shop.svc.cluster.local", ("cart", "shop")),
            ("cart.shop.svc.cluster.local.", ("cart", "shop")),
            ("CART.Shop.SVC.cluster.LOCAL", ("CART", "Shop")),
            ("pod-1.cart.shop.svc.cluster.local", ("pod-1", "cart.shop")),
            ("cart.svc.cluster.local", ("cart", "")),
            ("cart.shop.svc.cluster.local.example", ("cart.shop.svc.cluster.local.example", "")),
            ("svc.cluster.local", ("svc.cluster.local", "")),
            ("10.0.0.7", ("10.0.0.7", "")),
            ("", ("", "")),
        ] {
            assert_eq!(split(host), expected, "{host}");
        }
    }
}
