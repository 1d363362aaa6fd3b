//! Answer codes (hicoin-openapi.rst, appendix 2), and the refusals that carry them.

pub(super) const SUCCESS: i64 = 0;
pub(super) const SYSTEM: i64 = 100_001;
pub(super) const PARAMETERS: i64 = 100_004;
/// Also for a `time` that is too far off, which has no code of its own.
pub(super) const SIGN: i64 = 100_005;
pub(super) const IP: i64 = 100_007;
pub(super) const NO_SUCH_APP: i64 = 100_015;
pub(super) const FROZEN: i64 = 110_004;
pub(super) const MOBILE_KNOWN: i64 = 110_023;
pub(super) const ADDRESS: i64 = 110_055;
pub(super) const NO_SUCH_USER: i64 = 110_065;
pub(super) const BELOW_MINIMUM: i64 = 110_078;
pub(super) const DUPLICATE: i64 = 110_088;
pub(super) const MOBILE: i64 = 110_089;
pub(super) const NOT_REGISTERED: i64 = 110_101;
pub(super) const NO_SUCH_COIN: i64 = 120_202;
pub(super) const BALANCE: i64 = 120_402;
pub(super) const FEE_BALANCE: i64 = 120_403;
pub(super) const NOT_ABOVE_FEE: i64 = 120_404;

/// The document's text for a code; success reads as in its samples.
pub(super) fn message(code: i64) -> &'static str {
    match code {
        0 => "suc",
        100_001 => "系统错误",
        100_004 => "请求参数不合法",
        100_005 => "签名校验失败",
        100_007 => "非法IP",
        100_015 => "商户ID无效",
        100_016 => "商户信息过期",
        110_004 => "用户被冻结不可提现",
        110_023 => "手机号已注册",
        110_055 => "提现地址错误",
        110_065 => "请求用户用户不存在",
        110_078 => "提现或转账金额小于最小转出金额",
        110_087 => "提现或转账金额大于最大转出金额",
        110_088 => "请勿重复提交请求",
        110_089 => "注册手机号不正确",
        110_101 => "用户注册失败",
        120_202 => "币种不支持",
        120_402 => "提现或转账余额不足",
        120_403 => "提现手续费余额不足",
        120_404 => "提现或转账金额太小, 小于等于手续费",
        _ => "fail",
    }
}

/// A refusal: a code, and which parameter is to blame where that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) about: Option<&'static str>,
}

impl Refusal {
    /// Code 100004 for a parameter that is missing or cannot be read.
    pub(super) fn parameter(name: &'static str) -> Self {
        Self { code: PARAMETERS, about: Some(name) }
    }
}

impl From<i64> for Refusal {
    fn from(code: i64) -> Self {
        Self { code, about: None }
    }
}
