//! The engine's golden traces: each script in `scripts/`, beside what it does in `snapshots/`.

macro_rules! scripts {
    ($($name:ident,)+) => {$(
        #[test]
        fn $name() {
            let script = include_str!(concat!("scripts/", stringify!($name), ".txt"));
            insta::assert_snapshot!(super::script::run(script));
        }
    )+};
}

scripts! {
    rules,
    rules_without_data,
    load_score,
    target,
    panic,
    one_shot,
    window,
    window_wakes,
    idle,
    pre_wake,
    merge,
    manual,
    tolerance,
    stabilization,
    rate,
    cooldown,
    cost_cap,
    bounds,
    guards,
    fallback,
    restart,
    pause,
}
