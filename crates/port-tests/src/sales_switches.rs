//! The cases of [`SalesSwitches`](encore_domain::ports::SalesSwitches).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use encore_domain::payment::refund::OperatorReason;
use encore_domain::sales_switch::SalesSwitch;

use crate::RecordBench;
use crate::fixtures::at_secs;

/// Stamps the cases of the port `SalesSwitches`.
#[macro_export]
macro_rules! sales_switches {
    ($($with:tt)+) => {
        $crate::suite! { sales_switches [
            sales_go_on_at_first,
            keeps_the_switch_as_it_was_set_last,
        ] $($with)+ }
    };
}

pub async fn sales_go_on_at_first(bench: RecordBench) {
    assert_eq!(bench.sales_switches.get().await.expect("the store answers"), None);
}

pub async fn keeps_the_switch_as_it_was_set_last(bench: RecordBench) {
    let by = bench.sign_up().await;
    for (index, is_stopped) in [(1, true), (2, true), (3, false)] {
        let reason = OperatorReason::parse(&format!("reason {index}")).expect("a reason");
        let switch = SalesSwitch { is_stopped, reason, by, at: at_secs(index) };
        bench.sales_switches.set(switch.clone(), None).await.expect("the store answers");
        assert_eq!(bench.sales_switches.get().await.expect("the store answers"), Some(switch));
    }
}
