//! A page of a list: the rows that were asked for, and whether there are more.

/// How many rows to ask the store for: one more than is shown tells whether there are more.
pub fn asked(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// The first `limit` of what was found, and whether there are more.
pub fn shown<T>(mut found: Vec<T>, limit: usize) -> (Vec<T>, bool) {
    let more = found.len() > limit;
    found.truncate(limit);
    (found, more)
}
