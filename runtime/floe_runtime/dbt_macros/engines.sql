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

{# Columns of a row as one JSON text, and the text of one of them. #}
{% macro json_row(names) -%}
  {{ return(adapter.dispatch('json_row')(names)) }}
{%- endmacro %}

{% macro default__json_row(names) -%}
  json_format(cast(map(
    array[{% for name in names %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %}],
    array[{% for name in names %}cast({{ name }} as varchar){{ ', ' if not loop.last }}{% endfor %}]
  ) as json))
{%- endmacro %}

{% macro duckdb__json_row(names) -%}
  cast(json_object({% for name in names %}'{{ name }}', cast({{ name }} as varchar){{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}

{% macro json_text(json, name) -%}
  {{ return(adapter.dispatch('json_text')(json, name)) }}
{%- endmacro %}

{% macro default__json_text(json, name) -%}
  json_extract_scalar({{ json }}, '$.{{ name }}')
{%- endmacro %}

{% macro duckdb__json_text(json, name) -%}
  json_extract_string({{ json }}, '$.{{ name }}')
{%- endmacro %}

{# Whether a text matches a regular expression. #}
{% macro matches(column, pattern) -%}
  {{ 'regexp_matches' if target.type == 'duckdb' else 'regexp_like' }}({{ column }}, '{{ pattern }}')
{%- endmacro %}
