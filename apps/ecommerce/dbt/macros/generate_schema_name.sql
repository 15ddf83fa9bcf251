{# Schemas are named after the layer alone: each environment has a catalog of its own, so nothing is prefixed. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name or target.schema }}
{%- endmacro %}
