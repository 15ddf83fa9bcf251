{#- The time of a row, by table; the items of an order have the order's. -#}
{%- set times = {'orders': 'ordered_at', 'order_events': 'occurred_at', 'returns': 'returned_at'} -%}
{%- set tables = ['customers', 'products', 'orders', 'order_items', 'order_events', 'returns'] -%}
{%- set window_start = "cast(replace(substr(batch_id, strpos(batch_id, ' from ') + 6, 19), 'T', ' ') as timestamp)" -%}

{% for table in tables %}
{%- set key, columns = key_of(table), raw_columns(table) -%}
{%- set rows = "(select * from " ~ ref('stg_' ~ table) ~ " where not has_waited)" -%}
-- Rows that came twice in one batch: with the same content, and with another.
select '{{ table }}' as table_name, {{ key }} as row_key, kind
from (
  select
    {{ key }},
    count(*) as copies,
    count(distinct {{ json_row(columns.keys() | list) }}) as contents
  from {{ rows }} as loaded
  where {{ key }} in (select {{ key }} from {{ rows }} as counted group by {{ key }} having count(*) > 1)
  group by {{ key }}, batch_id
) as counted
cross join (select 'duplicates' as kind union all select 'near_duplicates') as kinds
where (kind = 'duplicates' and copies > contents) or (kind = 'near_duplicates' and contents > 1)

union all
select '{{ table }}', {{ key }}, substr(refused, 1, strpos(refused, ':') - 1)
from {{ rows }} as loaded
where refused is not null

{% for name, kind in columns.items() if kind == 'text' %}
union all
select '{{ table }}', {{ key }}, case when {{ name }} is null then 'nulls' else 'encoding' end
from {{ rows }} as loaded
-- Bytes of UTF-8 that were read as Latin-1, or a byte order mark.
where {{ name }} is null or {{ matches(name, '[\\x{C2}-\\x{F4}][\\x{80}-\\x{BF}]|^\\x{FEFF}') }}
{% endfor %}

{% if table in times %}
union all
-- Rows of a window of time that happened before it began.
select '{{ table }}', {{ key }}, 'late'
from {{ rows }} as loaded
where batch_id like '% from %' and {{ times[table] }} < {{ window_start }}
{% elif table == 'order_items' %}
union all
select 'order_items', item.order_item_id, 'late'
from {{ rows }} as item
inner join {{ ref('stg_orders') }} as ordered on ordered.order_id = item.order_id and ordered.batch_id = item.batch_id
where item.batch_id like '% from %' and ordered.version = 1
  and ordered.ordered_at < {{ window_start | replace('batch_id', 'item.batch_id') }}
{% endif %}
{{ 'union all' if not loop.last }}
{% endfor %}
