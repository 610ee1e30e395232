//! What every database must do: each function here runs on SQLite and on PostgreSQL, with a
//! database of its own.

mod failing;
mod fixture;
mod maintenance;
mod opening;
mod outbox;
mod schema;
mod tampering;
mod writing;

use fixture::Fixture;

/// Makes two tests of each function.
macro_rules! on_both {
    ($($module:ident: $($name:ident),+;)+) => {
        mod sqlite {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::Fixture::sqlite().run(super::$module::$name).await;
            })+)+
        }
        mod postgres {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::Fixture::postgres().await.run(super::$module::$name).await;
            })+)+
        }
    };
}

on_both! {
    writing:
        records_get_consecutive_numbers_and_are_read_back_as_written,
        a_replayed_item_is_lost_alone,
        of_one_key_in_one_batch_the_first_is_saved,
        of_fifty_concurrent_appends_of_one_key_exactly_one_is_saved,
        an_item_with_a_used_key_leaves_no_other_key_behind,
        a_batch_of_any_size_is_saved_whole,
        revoking_twice_keeps_the_later_expiry,
        an_append_to_another_tree_than_the_stored_one_saves_nothing,
        what_was_saved_survives_reopening,
        an_empty_batch_proves_that_writing_works,
        a_cancelled_append_leaves_no_part_behind;
    opening:
        a_database_that_was_never_made_is_refused_with_the_way_out,
        making_it_twice_is_refused,
        another_regions_database_is_refused_and_both_are_named,
        another_nodes_log_is_missing_until_it_is_made,
        a_database_of_a_newer_build_is_refused,
        a_reader_reads_beside_the_writer_and_cannot_write,
        a_reader_needs_no_running_node;
    maintenance:
        purging_spares_what_expires_this_second,
        a_purge_deletes_more_than_one_statement_may,
        erasing_leaves_records_verifiable,
        erasing_goes_by_number_or_by_time,
        revocations_are_read_page_by_page,
        a_status_list_id_is_taken_once,
        a_status_list_lives_as_long_as_it_was_used,
        lists_of_an_older_build_count_as_used_until_the_update;
    outbox:
        a_row_is_saved_with_its_record_or_not_at_all,
        rows_survive_reopening_and_are_read_page_by_page,
        what_is_decided_stays_so_and_is_left_out_or_told,
        one_node_at_a_time_sends_a_row,
        of_nodes_that_claim_at_once_each_row_has_one,
        an_expired_row_is_neither_read_nor_sent_and_then_deleted;
    tampering:
        an_untouched_log_verifies_with_and_without_personal_parts,
        a_flipped_byte_is_found_and_named,
        a_changed_personal_part_is_found_and_named,
        a_deleted_record_is_missed,
        a_record_replaced_with_its_leaf_is_narrowed_down,
        a_record_beside_the_tree_is_found;
}
