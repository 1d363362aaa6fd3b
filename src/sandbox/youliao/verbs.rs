//! Youliao's control verbs as methods.

use super::YouliaoAuthorization;
use crate::sandbox::Sandbox;

impl Sandbox {
    /// Every authorisation that Youliao granted, in order, with everything that it was told.
    pub fn youliao_authorizations(&self) -> Vec<YouliaoAuthorization> {
        self.core.youliao.granted()
    }

    /// Calls that are signed well are refused with these words from now on; `None`: they are granted.
    pub fn set_youliao_refusal(&self, words: Option<&str>) {
        self.core.youliao.set_refusal(words);
    }
}
