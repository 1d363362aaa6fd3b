//! Status codes (fomo-app.txt, appendix 一), and the refusals that carry them.

pub(super) const PARAMETERS: i64 = 0;
pub(super) const SUCCESS: i64 = 1;
pub(super) const NOT_LOGGED_IN: i64 = 2;
pub(super) const SESSION: i64 = 3;
pub(super) const INTERNAL: i64 = 5;
pub(super) const SIGN: i64 = 7;
pub(super) const SIGN_EXPIRED: i64 = 8;
pub(super) const PASSWORD: i64 = 12;
pub(super) const COIN_INACTIVE: i64 = 21;
pub(super) const NO_SUCH_COIN: i64 = 23;
pub(super) const BALANCE: i64 = 24;
pub(super) const NO_WALLET_PWD: i64 = 25;
pub(super) const WALLET_PWD: i64 = 26;
pub(super) const NOT_PERMITTED: i64 = 54;
pub(super) const NO_SUCH_USER: i64 = 74;
pub(super) const CLIENT_FORMAT: i64 = 80;
pub(super) const NO_SUCH_CLIENT: i64 = 82;
pub(super) const DUPLICATE: i64 = 211;
pub(super) const NO_SUCH_TRANSFER: i64 = 212;
pub(super) const EXPIRED: i64 = 213;

/// The document's text for a code; for one that it does not list, its own text for that (code 6).
pub(super) fn message(code: i64) -> &'static str {
    match code {
        0 => "参数不足",
        1 => "成功",
        2 => "用户未登录",
        3 => "session错误或用户不存在",
        5 => "内部错误",
        7 => "签名错误",
        8 => "签名过期",
        11 => "用户名错误",
        12 => "密码错误",
        21 => "不支持该币种",
        22 => "无法分配地址",
        23 => "不存在的币",
        24 => "余额不足",
        25 => "未设置资金密码",
        26 => "资金密码错误",
        54 => "没有操作权限",
        74 => "该用户不存在",
        80 => "client_id格式不符",
        81 => "client_id已经注册",
        82 => "client_id不存在",
        107 => "查询不到用户注册信息",
        211 => "接入方交易ID trade_id重复",
        212 => "交易ID transfer_id 不存在",
        213 => "交易过期",
        _ => "状态码不存在",
    }
}

/// A refusal: a code, and which parameter is to blame where that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) about: Option<&'static str>,
}

impl Refusal {
    /// Code 0 for a parameter that is missing or cannot be read.
    pub(super) fn parameter(name: &'static str) -> Self {
        Self { code: PARAMETERS, about: Some(name) }
    }
}

impl From<i64> for Refusal {
    fn from(code: i64) -> Self {
        Self { code, about: None }
    }
}
