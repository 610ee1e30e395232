//! Both migrations must end at the same tables, columns, keys and indexes.

use super::fixture::Fixture;

const SQLITE_COLUMNS: &str = "SELECT t.name || '.' || c.name || ' ' || CASE c.type \
     WHEN 'INTEGER' THEN 'number' WHEN 'BLOB' THEN 'bytes' WHEN 'TEXT' THEN 'text' ELSE c.type END \
     || CASE c.\"notnull\" WHEN 1 THEN ' required' ELSE '' END || ' key ' || c.pk \
     FROM sqlite_schema t, pragma_table_info(t.name) c \
     WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' ORDER BY 1";

const POSTGRES_COLUMNS: &str = "SELECT c.table_name || '.' || c.column_name || ' ' || \
     CASE c.data_type WHEN 'bigint' THEN 'number' WHEN 'bytea' THEN 'bytes' ELSE c.data_type END \
     || CASE c.is_nullable WHEN 'NO' THEN ' required' ELSE '' END || ' key ' || \
     coalesce(k.ordinal_position, 0) \
     FROM information_schema.columns c \
     LEFT JOIN information_schema.table_constraints p ON p.table_schema = c.table_schema \
       AND p.table_name = c.table_name AND p.constraint_type = 'PRIMARY KEY' \
     LEFT JOIN information_schema.key_column_usage k \
       ON k.constraint_name = p.constraint_name AND k.table_schema = c.table_schema \
       AND k.column_name = c.column_name \
     WHERE c.table_schema = 'public' AND c.table_name NOT LIKE '\\_sqlx%' ORDER BY 1";

const SQLITE_INDEXES: &str = "SELECT t.name || ' ' || i.name || ' ' || \
     (SELECT group_concat(name, ',' ORDER BY seqno) FROM pragma_index_info(i.name)) || \
     CASE i.partial WHEN 1 THEN ' partial' ELSE '' END \
     FROM sqlite_schema t, pragma_index_list(t.name) i \
     WHERE t.type = 'table' AND i.origin = 'c' ORDER BY 1";

const POSTGRES_INDEXES: &str = "SELECT t.relname || ' ' || i.relname || ' ' || \
     (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM pg_attribute a, \
       unnest(x.indkey) WITH ORDINALITY k(attnum, n) \
       WHERE a.attrelid = t.oid AND a.attnum = k.attnum) || \
     CASE WHEN x.indpred IS NULL THEN '' ELSE ' partial' END \
     FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
     JOIN pg_namespace s ON s.oid = t.relnamespace \
     WHERE s.nspname = 'public' AND NOT x.indisprimary AND t.relname NOT LIKE '\\_sqlx%' \
     ORDER BY 1";

#[tokio::test]
async fn both_databases_have_the_same_schema() {
    let sqlite = Fixture::sqlite();
    sqlite.create().await.unwrap();
    Fixture::postgres()
        .await
        .run(async |postgres| {
            postgres.create().await.unwrap();
            let mut columns = postgres.texts(POSTGRES_COLUMNS).await;
            columns.sort();
            assert_eq!(sqlite.texts(SQLITE_COLUMNS).await, columns);
            assert!(columns.len() > 20, "{columns:?}");
            let mut indexes = postgres.texts(POSTGRES_INDEXES).await;
            indexes.sort();
            assert_eq!(sqlite.texts(SQLITE_INDEXES).await, indexes);
            assert_eq!(indexes.len(), 5);
        })
        .await;
}
