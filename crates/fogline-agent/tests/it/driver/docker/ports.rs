//! Which port of a container is published, and where.

use std::net::TcpListener;
use std::sync::Arc;

use fogline_agent::driver::StartError;
use fogline_testbed::port;

use super::super::contract::{IMAGE, Rig};
use super::play;

#[test]
fn the_only_port_that_an_image_exposes_is_its_port() {
    play(|mut rig: Rig| async move {
        let mut order = rig.order(&[]);
        let template = Arc::make_mut(&mut order.template);
        template.port = None;
        // The image's own program.
        template.command.clear();
        let started = rig.start(&order).await.expect("started");
        assert!(!started.port_unused);
        assert!(rig.ask(&order, "/env").await.contains("\nPORT=8080\n"));
        rig.kill(&order).await;
        rig.forget(&[&order]).await;
    });
}

#[test]
fn of_several_exposed_ports_none_is_published_unless_it_is_named() {
    play(|mut rig: Rig| async move {
        let image = format!("localhost:1/two-ports:{}", rig.order(&[]).replica_id);
        let made = rig.engine().ok(&["create", IMAGE]);
        rig.engine().ok(&["commit", "--change", "EXPOSE 9090", &made, &image]);
        rig.engine().ok(&["rm", &made]);
        let mut order = rig.order(&[]);
        let template = Arc::make_mut(&mut order.template);
        (template.port, template.container_image) = (None, Some(image.clone()));
        let started = rig.start(&order).await.expect("started");
        assert!(started.port_unused, "nobody knows which");
        let adopted = rig.new_agent().await;
        assert_eq!(adopted[0].order.port, None, "the next agent gives the port to another");
        rig.kill(&order).await;

        let mut named = rig.order(&[]);
        let template = Arc::make_mut(&mut named.template);
        (template.port, template.container_image) = (Some(9090), Some(image));
        rig.run(&named).await;
        assert!(rig.ask(&named, "/env").await.contains("\nPORT=9090\n"));
        rig.kill(&named).await;
        rig.forget(&[&order, &named]).await;
    });
}

#[test]
fn a_port_that_somebody_else_has_is_told_and_another_one_works() {
    play(|mut rig: Rig| async move {
        let mut order = rig.order(&[]);
        let taken = TcpListener::bind(("127.0.0.1", order.port.expect("a port"))).expect("free");
        let error = rig.start(&order).await.expect_err("somebody has the port");
        assert_eq!(Some(error), order.port.map(|port| StartError::PortTaken { port }));
        order.run = 2;
        order.port = Some(port::spare().port());
        rig.run(&order).await;
        assert_eq!(rig.engine().containers(&format!("fogline-{}", order.replica_id)).len(), 1);
        drop(taken);
        rig.kill(&order).await;
        rig.forget(&[&order]).await;
    });
}
