{# The columns of the raw tables, by table, the key first. `text`: a column that only describes the row and may be null. #}
{% macro raw_columns(table) -%}
  {{ return({
    'customers': {
      'customer_id': 'key', 'name': 'text', 'email': 'text', 'country': 'text', 'city': 'text', 'segment': 'text',
      'created_at': 'time',
    },
    'products': {'product_id': 'key', 'name': 'text', 'category': 'text', 'unit_price': 'money'},
    'orders': {
      'order_id': 'key', 'customer_id': 'key', 'ordered_at': 'time', 'status': 'key', 'payment_method': 'text',
      'total': 'money', 'updated_at': 'time',
    },
    'order_items': {
      'order_item_id': 'key', 'order_id': 'key', 'product_id': 'key', 'quantity': 'int', 'unit_price': 'money',
      'discount': 'money',
    },
    'order_events': {'order_event_id': 'key', 'order_id': 'key', 'status': 'key', 'occurred_at': 'time'},
    'returns': {
      'return_id': 'key', 'order_item_id': 'key', 'order_id': 'key', 'quantity': 'int', 'amount': 'money',
      'reason': 'text', 'returned_at': 'time',
    },
  }[table]) }}
{%- endmacro %}

{% macro key_of(table) -%}
  {{ return((raw_columns(table).keys() | list)[0]) }}
{%- endmacro %}

{# The mart that has the used rows of a raw table. #}
{% macro mart_of(table) -%}
  {{ return({
    'customers': 'dim_customers', 'products': 'dim_products', 'orders': 'fct_orders', 'order_items': 'fct_order_items',
  }[table]) }}
{%- endmacro %}

{# The rows of a raw table that are to be worked through: what was loaded since the last publication, times in UTC, and
   what has waited in quarantine for a row that it refers to. #}
{% macro loaded(table) -%}
  {%- set types = {'key': 'varchar', 'text': 'varchar', 'time': 'timestamp(6)', 'int': 'integer', 'money': 'decimal(12, 2)'} -%}
  select
    {% for name, kind in raw_columns(table).items() -%}
    {{ utc(name) ~ ' as ' ~ name if kind == 'time' else name }},
    {% endfor -%}
    _batch_id as batch_id,
    {{ utc('_loaded_at') }} as loaded_at,
    false as has_waited
  from {{ source('raw', table) }}
  {% if is_incremental() %}
  union all
  select
    {% for name, kind in raw_columns(table).items() -%}
    cast({{ json_text('content', name) }} as {{ types[kind] }}) as {{ name }},
    {% endfor -%}
    batch_id,
    loaded_at,
    true as has_waited
  from {{ source('published', 'fct_quarantine') }} as quarantine
  where table_name = '{{ table }}' and (reason like 'broken_reference%' or reason like 'in_quarantine%')
    and loaded_at >= cast('{{ var("published_since") }}' as timestamp)
  {% endif %}
{%- endmacro %}

{# Numbers the versions of each row, the latest first; version 1 counts. Rows that are refused are numbered apart, so that a
   version that cannot be used does not hide the last one that can. Rows of the same load differ by their content. #}
{% macro versions(table, judged) -%}
  select
    {{ judged }}.*,
    row_number() over (
      partition by {{ key_of(table) }}, case when refused is null then 1 end
      order by loaded_at desc
      {%- for name in (raw_columns(table).keys() | list)[1:] %}, {{ name }} desc{% endfor %}
    ) as version
  from {{ judged }}
{%- endmacro %}

{# The keys that the rows of a relation may refer to: of rows that are used, in this run or as published by an earlier
   one. The relation's column has the name of the key. #}
{% macro known(table, referring) -%}
  {%- set key = key_of(table) -%}
  select distinct {{ key }} from {{ ref('stg_' ~ table) }} where refused is null
  {% if is_incremental() %}
  union
  select {{ key }} from {{ source('published', mart_of(table)) }} as published
  where {{ key }} in (select {{ key }} from {{ referring }})
  {% endif %}
{%- endmacro %}

{# The keys of rows that cannot be used. #}
{% macro refused(table) -%}
  select distinct {{ key_of(table) }} as row_key from {{ ref('stg_' ~ table) }} where refused is not null
  {% if is_incremental() %}
  union
  select row_key from {{ source('published', 'fct_quarantine') }} as quarantine where table_name = '{{ table }}'
  {% endif %}
{%- endmacro %}
