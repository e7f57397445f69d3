//! What every backend must do. A backend is one line at the end; a test is one name in the list.

mod batches;
mod cascades;
mod damage;
mod decisions;
mod history;
mod idempotency;
mod image_digests;
mod lease;
mod load;
mod migrations;
mod paging;
mod prune;
mod records;
mod rules;
mod scaling;

macro_rules! backend {
    ($backend:ident, $make:path) => {
        mod $backend {
            backend! { @tests $make;
                records {
                    every_record_comes_back_as_it_was,
                    changed_records_come_back_changed,
                    removed_records_are_gone,
                    rows_are_counted,
                }
                rules {
                    a_name_is_taken_until_its_deployment_is_deleted,
                    a_refused_batch_leaves_nothing,
                    only_a_process_goes_without_an_image,
                    a_row_needs_its_parent,
                    a_change_of_a_row_that_is_not_there_is_refused,
                }
                batches {
                    a_name_is_free_within_the_batch_that_frees_it,
                    a_large_batch_is_written_in_full,
                    a_caller_who_goes_away_leaves_the_writer_usable,
                }
                cascades {
                    a_purged_node_leaves_its_replicas_without_one,
                    a_purged_deployment_takes_everything_along,
                    a_purged_user_takes_deployments_and_leaves_history_of_others,
                }
                history {
                    lines_come_back_in_order,
                    nobody_rewrites_history,
                    the_queries_of_the_seeds_work_verbatim,
                }
                image_digests {
                    a_digest_is_settled_later_and_loaded_for_ever,
                    a_digest_that_is_none_is_damage,
                }
                lease {
                    an_older_epoch_writes_nothing,
                    another_holder_of_the_same_epoch_writes_nothing,
                    the_cluster_keeps_its_id_and_counts_on,
                    each_commit_is_a_revision_and_an_empty_one_renews,
                }
                load {
                    what_is_over_is_not_loaded,
                    a_deleted_deployment_is_loaded_while_replicas_live,
                    old_revisions_are_loaded_while_replicas_run_them,
                }
                migrations {
                    up_down_up_keeps_what_has_room,
                    scaling_goes_down_and_comes_up_with_rows_in_it,
                    down_to_nothing_and_up_again,
                    a_database_without_schema_says_what_to_do,
                    a_newer_database_is_refused,
                    a_migration_of_another_text_is_refused,
                }
                idempotency {
                    an_answer_commits_with_its_change,
                    a_key_is_answered_once,
                }
                paging {
                    every_list_is_complete_and_without_repeats,
                    rows_that_come_between_pages_neither_repeat_nor_hide_others,
                    filters_hold_on_every_page,
                    a_cursor_that_was_never_given_is_refused,
                }
                prune {
                    the_last_fifty_ended_replicas_are_kept,
                    keys_and_sessions_go_when_their_time_is_over,
                }
                scaling {
                    scaling_comes_back_as_it_was,
                    scaling_comes_back_changed,
                    a_removed_policy_leaves_decisions_behind,
                    a_policy_name_is_one_users_once,
                    scaling_rows_need_what_they_belong_to,
                    holds_go_after_a_week_and_changes_never,
                    the_last_hundred_versions_of_a_policy_are_kept,
                    policies_are_listed_for_those_who_may_see_them,
                }
                decisions {
                    decisions_are_listed_newest_first,
                    decisions_are_shown_to_those_whose_target_it_is,
                    decisions_are_counted_by_kind,
                }
                damage {
                    what_was_never_written_is_said_with_its_place,
                }
            }
        }
    };
    (@tests $make:path; $($file:ident { $($test:ident,)+ })+) => {$(
        mod $file {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::contract::$file::$test($make().await).await;
            }
        )+}
    )+};
}

backend!(sqlite, crate::backend::Backend::sqlite);
backend!(postgres, crate::backend::Backend::postgres);
