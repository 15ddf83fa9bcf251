{# Converts a timestamp with time zone to one without, in UTC, which all engines and Cube read in the same way. #}
{% macro utc(column) -%}
  {{ return(adapter.dispatch('utc')(column)) }}
{%- endmacro %}

{% macro default__utc(column) -%}
  cast(at_timezone({{ column }}, 'UTC') as timestamp(6))
{%- endmacro %}

{% macro duckdb__utc(column) -%}
  timezone('UTC', {{ column }})
{%- endmacro %}
