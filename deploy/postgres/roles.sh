#!/usr/bin/env bash
# Two roles for the instance: tributary_owner makes and changes tables (migrations, restore), tributary_app reads and writes rows.
# Neither is a superuser: whoever breaks into the web process gets rows, not the database server.
# Run by the PostgreSQL image on an empty data directory, or by hand (docs/howto/deploy.md); a second time it changes the passwords.
# Reads the two addresses (postgres://ROLE:PASSWORD@HOST/DATABASE) from the files the environment names.
set -euo pipefail
owner_url=$(<"${TRIBUTARY_OWNER_URL_FILE:-/run/secrets/database_owner_url}")
app_url=$(<"${TRIBUTARY_APP_URL_FILE:-/run/secrets/database_url}")

# The password in an address; deploy/prepare makes hexadecimal ones, anything else would need decoding.
password_of() {
  local password
  password=$(sed -nE 's#^postgres(ql)?://[a-z_]+:([0-9A-Za-z]{20,})@.*$#\2#p' <<<"$1")
  [ -n "$password" ] || { echo "the address has no password of 20 or more letters and digits" >&2; exit 1; }
  printf %s "$password"
}
owner_password=$(password_of "$owner_url")
app_password=$(password_of "$app_url")

# Root on a machine with its own PostgreSQL is let in as the user postgres.
as=()
if [ "$(id -u)" = 0 ] && [ -z "${PGHOST:-}" ]; then as=(runuser --user postgres --); fi
"${as[@]}" psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-tributary}" \
  --set owner_password="$owner_password" --set app_password="$app_password" --set database="${POSTGRES_DB:-tributary}" <<'SQL'
SELECT 'CREATE ROLE ' || name FROM (VALUES ('tributary_owner'), ('tributary_app')) AS wanted (name)
  WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE tributary_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
ALTER ROLE tributary_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';
ALTER DATABASE :"database" OWNER TO tributary_owner;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO tributary_app;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO tributary_owner;
GRANT USAGE ON SCHEMA public TO tributary_app;
ALTER DEFAULT PRIVILEGES FOR ROLE tributary_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tributary_app;
ALTER DEFAULT PRIVILEGES FOR ROLE tributary_owner IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO tributary_app;
-- A query or a transaction that hangs must not hold everybody else up for ever.
ALTER ROLE tributary_app SET statement_timeout = '60s';
ALTER ROLE tributary_app SET idle_in_transaction_session_timeout = '5min';
ALTER ROLE tributary_owner SET lock_timeout = '10s';
SQL
