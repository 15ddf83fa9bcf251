{# DuckDB: a schema a layer, in a database that lives as long as the run. Elsewhere one schema lives as long, so it takes
   every model. What is published from either goes by the names that floe.yaml gives. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name if custom_schema_name and target.type == 'duckdb' else target.schema }}
{%- endmacro %}
