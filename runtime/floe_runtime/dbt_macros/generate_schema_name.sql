{# The schema of a model. In DuckDB, each layer has a schema in the scratch database of the run. On other engines, the
   run has one scratch schema for all models. Marts are published to the namespace that floe.yaml names. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name if custom_schema_name and target.type == 'duckdb' else target.schema }}
{%- endmacro %}
