//! What a container may not do, and what it says of itself.

use std::sync::Arc;

use fogline_agent::driver::StartError;
use serde_json::Value;

use super::super::contract::Rig;
use super::play;

/// Bits of capabilities, as in Linux's capability.h: SETFCAP, AUDIT_WRITE, MKNOD, SYS_ADMIN, NET_RAW, NET_ADMIN.
const NEVER: [u32; 6] = [31, 29, 27, 21, 13, 12];

fn inspect(rig: &Rig, name: &str) -> Value {
    let text = rig.engine().ok(&["inspect", name]);
    let mut all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    all.pop().expect("one")
}

#[test]
fn the_root_cannot_be_written_and_privileges_cannot_be_gained() {
    play(|mut rig: Rig| async move {
        let order = rig.order(&[]);
        rig.run(&order).await;
        let said = rig.ask(&order, "/write?path=/x&text=y").await;
        assert!(said.contains("Read-only file system"), "{said}");
        for path in ["/tmp/x", "/run/x", "/var/cache/x", "/var/tmp/x"] {
            assert_eq!(rig.ask(&order, &format!("/write?path={path}&text=y")).await, "written\n", "{path}");
        }
        let said = rig.ask(&order, "/whoami").await;
        assert!(said.contains("NoNewPrivs: 1\n"), "{said}");
        let capabilities = said.lines().find_map(|line| line.strip_prefix("CapBnd: ")).expect("capabilities");
        let capabilities = u64::from_str_radix(capabilities, 16).expect("hexadecimal");
        for bit in NEVER {
            assert_eq!(capabilities & (1 << bit), 0, "capability {bit}: {said}");
        }
        rig.kill(&order).await;
        rig.forget(&[&order]).await;
    });
}

#[test]
fn a_spec_may_open_the_root_and_name_a_user() {
    play(|mut rig: Rig| async move {
        let mut order = rig.order(&[]);
        let container = Arc::make_mut(&mut order.template).container.as_mut().expect("a block");
        container.user = Some("app".to_owned());
        container.read_only_root = false;
        container.tmpfs = vec!["/tmp".to_owned()];
        rig.run(&order).await;
        let said = rig.ask(&order, "/whoami").await;
        assert!(said.contains("Uid: 1000 "), "{said}");
        // Not read-only, but root's.
        let said = rig.ask(&order, "/write?path=/x&text=y").await;
        assert!(said.contains("Permission denied"), "{said}");
        rig.kill(&order).await;

        let mut nobody = rig.order(&[]);
        Arc::make_mut(&mut nobody.template).container.as_mut().expect("a block").user = Some("nobody-knows".to_owned());
        let error = rig.start(&nobody).await.expect_err("there is no such user");
        assert!(matches!(error, StartError::NotInImage { .. }), "{error:?}");
        assert!(error.to_string().contains("container.user"), "{error}");
        rig.forget(&[&order, &nobody]).await;
    });
}

#[test]
fn limits_are_the_engines_and_labels_tell_whose_it_is_but_no_secret() {
    play(|mut rig: Rig| async move {
        let mut order = rig.order(&[]);
        Arc::make_mut(&mut order.template).env.insert("PASSWORD".to_owned(), "canary".to_owned());
        let id = rig.run(&order).await;
        let name = format!("fogline-{}-1", order.replica_id);
        let seen = inspect(&rig, &name);
        assert_eq!(seen["Id"], id.as_str());
        let host = &seen["HostConfig"];
        for (field, value) in [
            ("NanoCpus", Value::from(500_000_000)),
            ("Memory", Value::from(64 << 20)),
            ("MemorySwap", Value::from(64 << 20)),
            ("PidsLimit", Value::from(1_024)),
            ("Privileged", Value::from(false)),
            ("ReadonlyRootfs", Value::from(true)),
            ("PidMode", Value::from("")),
            ("IpcMode", Value::from("private")),
        ] {
            assert_eq!(host[field], value, "{field}");
        }
        assert_eq!(host["RestartPolicy"]["Name"], "no", "the supervisor restarts");
        assert_eq!(host["LogConfig"]["Config"]["max-file"], "3");
        assert_ne!(host["NetworkMode"], "host");
        let labels = seen["Config"]["Labels"].as_object().expect("labels");
        assert_eq!(labels["fogline.replica"], order.replica_id.to_string());
        assert_eq!((&labels["fogline.run"], &labels["fogline.deployment"]), (&"1".into(), &"web".into()));
        assert!(!seen["Config"]["Labels"].to_string().contains("canary"), "{labels:?}");
        rig.kill(&order).await;
        rig.forget(&[&order]).await;
    });
}
