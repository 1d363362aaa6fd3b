//! Who may call: the platform and its signature (youliao.md).

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use super::Form;

/// All of them travel with each call.
const PARAMETERS: [&str; 6] = ["appId", "mobile", "name", "identity", "amount", "sign"];

/// Says no, in the document's words where it has some, to a call that is not whole, not of a known platform or not signed.
pub(super) fn authenticate(apps: &BTreeMap<String, String>, form: &Form) -> Result<(), String> {
    if let Some(missing) = PARAMETERS.iter().find(|name| form.get(**name).is_none_or(String::is_empty)) {
        return Err(format!("缺少参数{missing}"));
    }
    let secret = form.get("appId").and_then(|app_id| apps.get(app_id)).ok_or("appId不正确，请仔细检查")?;
    if form.get("sign") == Some(&sign(form, secret)) { Ok(()) } else { Err("签名不正确，请仔细检查".to_owned()) }
}

/// As the document's Java does it: all that came but `sign`, sorted by name, as `name=value` with `&` between, and the
/// secret behind; MD5 in lowercase hex.
fn sign(form: &Form, secret: &str) -> String {
    let content = form.iter().filter(|(name, _)| *name != "sign").map(|(name, value)| format!("{name}={value}"));
    let content = content.collect::<Vec<_>>().join("&");
    hex::encode(Md5::digest(format!("{content}{secret}")))
}
