//! The merchants' file: TOML whose values may be taken from the environment or from other files.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use crate::domain::order::Provider;
use crate::flows::setup::MerchantDocument;

/// Reads the merchants of a file. `{ env = "NAME" }` and `{ file = "PATH" }` stand for the value of
/// a variable or the content of a file; a relative path starts at the folder of the merchants' file.
pub fn read(path: &Path) -> anyhow::Result<Vec<MerchantDocument>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    parse(&text, folder, &|name| std::env::var(name).ok()).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str, folder: &Path, variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Vec<MerchantDocument>> {
    let table: toml::Table = toml::from_str(text)?;
    let Value::Object(mut top) = resolve(serde_json::to_value(table)?, folder, variable)? else { bail!("it is not a table") };
    let merchants = top.remove("merchant").unwrap_or(Value::Array(Vec::new()));
    if let Some(key) = top.keys().next() {
        bail!("unknown key {key}: a file holds [[merchant]] tables");
    }
    let Value::Array(merchants) = merchants else { bail!("merchant must be written as [[merchant]]") };
    merchants.into_iter().map(merchant).collect()
}

fn merchant(value: Value) -> anyhow::Result<MerchantDocument> {
    let Value::Object(mut table) = value else { bail!("merchant must be a table") };
    let name = match table.remove("name") {
        Some(Value::String(name)) if is_name(&name) => name,
        _ => bail!("each merchant needs a name of 1 to 64 letters, digits, - and _"),
    };
    let origins = table.remove("return_origins").unwrap_or(Value::Array(Vec::new()));
    let return_origins: Vec<String> = serde_json::from_value(origins).with_context(|| format!("merchant {name}: return_origins"))?;
    if let Some(bad) = return_origins.iter().find(|origin| !is_origin(origin)) {
        bail!("merchant {name}: return_origins: {bad:?} must be an origin such as https://shop.example");
    }
    let mut accounts: BTreeMap<Provider, Map<String, Value>> = BTreeMap::new();
    for (key, settings) in table {
        let provider: Provider = key.parse().map_err(|_| anyhow::anyhow!("merchant {name}: unknown key {key}"))?;
        let Value::Object(settings) = settings else { bail!("merchant {name}: {key} must be a table") };
        accounts.insert(provider, settings);
    }
    Ok(MerchantDocument { name, return_origins, accounts })
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_origin(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text.trim_end_matches('/'))
}

/// Puts values in the place of references to them.
fn resolve(value: Value, folder: &Path, variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Value> {
    Ok(match value {
        Value::Object(table) if table.len() == 1 && (table.contains_key("env") || table.contains_key("file")) => {
            reference(&table, folder, variable)?
        }
        Value::Object(table) => {
            let resolved: anyhow::Result<Map<_, _>> =
                table.into_iter().map(|(key, value)| Ok((key, resolve(value, folder, variable)?))).collect();
            Value::Object(resolved?)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| resolve(item, folder, variable)).collect::<anyhow::Result<_>>()?),
        other => other,
    })
}

fn reference(table: &Map<String, Value>, folder: &Path, variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Value> {
    if let Some(Value::String(name)) = table.get("env") {
        return variable(name).map(Value::String).with_context(|| format!("the environment variable {name} is not set"));
    }
    if let Some(Value::String(path)) = table.get("file") {
        let path = folder.join(path);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(Value::String(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    bail!("env and file must name a variable or a file");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<MerchantDocument>> {
        parse(text, Path::new("."), &|name| (name == "SECRET").then(|| "s3cret".to_owned()))
    }

    #[test]
    fn references_are_resolved() {
        let merchants = read(
            "[[merchant]]\nname = \"acme\"\nreturn_origins = [\"https://shop.example\"]\n\
             [merchant.fomo]\nclient_id = \"acme\"\nclient_secret = { env = \"SECRET\" }\n[[merchant]]\nname = \"b\"\n",
        )
        .unwrap();
        assert_eq!(merchants.len(), 2);
        assert_eq!(merchants[0].accounts[&Provider::Fomo]["client_secret"], "s3cret");
        assert!(merchants[1].accounts.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("[[merchant]]\n", "name"),
            ("[[merchant]]\nname = \"a\"\nreturn_origins = [\"shop\"]\n", "shop"),
            ("[[merchant]]\nname = \"a\"\n[merchant.paypal]\n", "paypal"),
            ("[[merchant]]\nname = \"a\"\n[merchant.fomo]\nx = { env = \"NOPE\" }\n", "NOPE"),
            ("[[merchant]]\nname = \"a\"\n[merchant.fomo]\nx = { file = \"/nonexistent/x\" }\n", "/nonexistent/x"),
            ("[merchants]\n", "merchants"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
    }
}
