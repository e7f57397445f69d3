//! Lists in pages: every row once, whatever happens between two pages.

use std::collections::BTreeSet;

use fogline_core::cluster::Changes;
use fogline_core::record::AuditRecord;
use fogline_core::state::DeploymentStatus;
use fogline_store::{DeploymentFilter, PageRequest, StoreError};

use crate::backend::Backend;
use crate::world::{World, add, change, everything};

/// Ten more of everything.
async fn crowd(world: &mut World) {
    let mut changes = Changes::default();
    let node = world.node.clone();
    for number in 0..10_u32 {
        let user = world.rows.user(&format!("user «{number}»"));
        let more = world.rows.node(&format!("node-1{number}"));
        let deployment = world.rows.deployment(&world.user.clone(), &format!("service-{number}"));
        let replica = world.rows.replica(&world.deployment.clone(), &node);
        add(&mut changes.users, user.id, &user);
        add(&mut changes.nodes, more.id, &more);
        add(&mut changes.deployments, deployment.id, &deployment);
        add(&mut changes.replicas, replica.id, &replica);
        changes.history.push(world.rows.history(&world.deployment.clone(), 3 + number, "running", "running"));
        let mut revision = world.rows.revision(&world.deployment.clone());
        revision.revision = 2 + number;
        changes.revisions.push(revision);
        let now = world.rows.now();
        changes.audit.push(AuditRecord {
            id: world.rows.ids.next(now),
            at: now,
            actor: None,
            actor_name: "system".to_owned(),
            action: "node.declare",
            object: number.to_string(),
            outcome: "ok".to_owned(),
            remote: None,
            detail: String::new(),
        });
    }
    world.commit(&changes).await;
}

pub async fn every_list_is_complete_and_without_repeats(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    crowd(&mut world).await;
    let (store, id, all) = (&world.store, world.deployment.id, DeploymentFilter::default());
    for limit in [1, 3, 11, 12, 1_000] {
        let users = everything(limit, async |page| store.users(&page).await).await;
        let names: Vec<_> = users.iter().map(|user| user.username.as_str()).collect();
        assert!(names.len() == 11 && names.is_sorted(), "{names:?}");
        let nodes = everything(limit, async |page| store.nodes(&page).await).await;
        assert!(nodes.len() == 11 && nodes.iter().map(|node| &node.name).is_sorted());
        let deployments = everything(limit, async |page| store.deployments(&all, &page).await).await;
        assert!(deployments.len() == 11 && deployments.iter().map(|deployment| deployment.created_at).is_sorted());
        let replicas = everything(limit, async |page| store.replicas(id, &page, true).await).await;
        assert!(replicas.len() == 11 && replicas.iter().map(|replica| replica.created_at).is_sorted());
        assert_eq!(store.live_replicas(&[id]).await.expect("reads"), replicas);
        let lines = everything(limit, async |page| store.history(id, &page).await).await;
        assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
        let revisions = everything(limit, async |page| store.revisions(id, &page).await).await;
        assert_eq!(
            revisions.iter().map(|record| record.revision).collect::<Vec<_>>(),
            (1..=11).rev().collect::<Vec<_>>()
        );
        let audit = everything(limit, async |page| store.audit(&page).await).await;
        assert!(audit.len() == 10 && audit.iter().rev().map(|line| line.at).is_sorted(), "newest first");
    }
}

pub async fn rows_that_come_between_pages_neither_repeat_nor_hide_others(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    crowd(&mut world).await;
    let there: BTreeSet<String> =
        everything(4, async |page| world.store.nodes(&page).await).await.into_iter().map(|node| node.name).collect();
    let mut seen = Vec::new();
    let mut page = world.store.nodes(&PageRequest::first(2)).await.expect("a page");
    let mut round = 0;
    while let Some(next) = page.next.take() {
        seen.extend(page.items.drain(..).map(|node| node.name));
        // One before everything that was read, one in the middle of what is to come.
        let mut changes = Changes::default();
        for name in [format!("aaa-{round}"), format!("node-18-{round}")] {
            let node = world.rows.node(&name);
            add(&mut changes.nodes, node.id, &node);
        }
        world.commit(&changes).await;
        round += 1;
        page = world.store.nodes(&PageRequest::after(2, next)).await.expect("a page");
    }
    seen.extend(page.items.into_iter().map(|node| node.name));
    let once: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(once.len(), seen.len(), "repeats in {seen:?}");
    assert!(once.is_superset(&there), "hidden: {:?}", there.difference(&once));
}

pub async fn filters_hold_on_every_page(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    crowd(&mut world).await;
    let other = world.rows.user("other");
    let theirs = world.rows.deployment(&other, "web-api");
    let mut changes = Changes::default();
    add(&mut changes.users, other.id, &other);
    add(&mut changes.deployments, theirs.id, &theirs);
    let mut gone = world.deployment.clone();
    gone.status = DeploymentStatus::Deleted;
    gone.deleted_at = Some(world.rows.now());
    change(&mut changes.deployments, gone.id, &world.deployment, &gone);
    world.commit(&changes).await;

    let count = async |filter: DeploymentFilter| {
        let listed = everything(3, async |page| world.store.deployments(&filter, &page).await).await.len();
        assert_eq!(world.store.deployment_count(&filter).await.expect("reads"), listed as u64);
        listed
    };
    let all = DeploymentFilter::default;
    assert_eq!(count(all()).await, 11);
    assert_eq!(count(DeploymentFilter { include_deleted: true, ..all() }).await, 12);
    assert_eq!(count(DeploymentFilter { user: Some(world.user.id), ..all() }).await, 10);
    assert_eq!(count(DeploymentFilter { user: Some(other.id), ..all() }).await, 1);
    assert_eq!(count(DeploymentFilter { name: Some("web-api".to_owned()), ..all() }).await, 1);
    assert_eq!(count(DeploymentFilter { name: Some("WEB-API".to_owned()), ..all() }).await, 0);
    assert_eq!(count(DeploymentFilter { status: Some(DeploymentStatus::Running), ..all() }).await, 11);
    assert_eq!(count(DeploymentFilter { status: Some(DeploymentStatus::Deleted), ..all() }).await, 0);
    let deleted = DeploymentFilter {
        status: Some(DeploymentStatus::Deleted),
        include_deleted: true,
        ..DeploymentFilter::default()
    };
    assert_eq!(count(deleted).await, 1);
}

pub async fn a_cursor_that_was_never_given_is_refused(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    crowd(&mut world).await;
    let (store, id) = (&world.store, world.deployment.id);
    let users = store.users(&PageRequest::first(1)).await.expect("a page").next.expect("there are more");
    for cursor in [users.as_str(), "x", "", "d.00", "h.2d31", "r.6e6f6e65"] {
        let page = PageRequest::after(5, cursor);
        for refused in [
            store.nodes(&page).await.map(|_| ()),
            store.deployments(&DeploymentFilter::default(), &page).await.map(|_| ()),
            store.replicas(id, &page, true).await.map(|_| ()),
            store.history(id, &page).await.map(|_| ()),
            store.audit(&page).await.map(|_| ()),
        ] {
            assert!(matches!(refused, Err(StoreError::BadCursor { .. })), "{cursor}: {refused:?}");
        }
    }
}
