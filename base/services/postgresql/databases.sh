#!/bin/sh
# Run once by the image, on an empty volume: a user and a database for each service.
set -eu
for service in dagster marquez polaris; do
  password=$(eval "printf %s \"\$$(echo "$service" | tr a-z A-Z)_PASSWORD\"")
  psql --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 --set name="$service" --set password="$password" <<'SQL'
CREATE USER :"name" PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
done
