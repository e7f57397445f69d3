//! The planner's golden files: each script in `scripts/`, beside what it does in `snapshots/`.

macro_rules! scripts {
    ($($name:ident,)+) => {$(
        #[test]
        fn $name() {
            let script = include_str!(concat!("scripts/", stringify!($name), ".txt"));
            insta::assert_snapshot!(crate::script::run(script));
        }
    )+};
}

scripts! {
    deploy_scale_stop,
    no_room,
    rolling_update,
    rollout_that_fails,
    update_without_room,
    lost_node,
    drained_node,
    failing_replicas,
    who_goes_first,
    image_digests,
}
