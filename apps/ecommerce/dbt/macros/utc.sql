{# A timestamp with time zone as a plain one in UTC, which every query engine and Cube read alike. #}
{% macro utc(column) -%}
  {{ return(adapter.dispatch('utc')(column)) }}
{%- endmacro %}

{% macro default__utc(column) -%}
  cast(at_timezone({{ column }}, 'UTC') as timestamp(6))
{%- endmacro %}

{% macro duckdb__utc(column) -%}
  timezone('UTC', {{ column }})
{%- endmacro %}
