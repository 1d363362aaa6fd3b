# shellcheck shell=bash
# Sourced by the scripts beside it: where the programs of a Postgres server are, and as whom they run.
# `tillgate` itself looks in the same places in the same order.

# Prints the folder that has `initdb` and `postgres`; fails when there is none.
postgres_bin() {
    local folder
    while IFS= read -r folder; do
        if [ -f "$folder/initdb" ] && [ -f "$folder/postgres" ]; then
            printf '%s\n' "$folder"
            return 0
        fi
    done < <(postgres_places)
    return 1
}

postgres_places() {
    if [ -n "${TILLGATE_PG_BIN:-}" ]; then
        printf '%s\n' "$TILLGATE_PG_BIN"
        return
    fi
    printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV
    printf '%s\n' "$PWD/.local/postgres/bin"
    tr ':' '\n' <<<"$PATH"
}

# Sets `as_server` to what stands before a command that the server's account runs. Postgres refuses root: then it is
# `postgres`, else `nobody`.
as_server=()
server_account() {
    local account
    if [ "$(id -u)" -ne 0 ]; then
        return 0
    fi
    for account in postgres nobody; do
        if id -u "$account" >/dev/null 2>&1; then
            # shellcheck disable=SC2034 # read by the script that sources this one
            as_server=(setpriv "--reuid=$(id -u "$account")" "--regid=$(id -g "$account")" --clear-groups)
            return 0
        fi
    done
    echo "Postgres refuses to run as root, and there is neither a user 'postgres' nor 'nobody'." >&2
    return 1
}
