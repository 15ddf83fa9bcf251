with loaded as (
  {{ loaded('returns') }}
),

judged as (
  select
    loaded.*,
    case
      when quantity not between 1 and 99999 then 'out_of_range: quantity'
      when amount not between 0 and 999999999 then 'out_of_range: amount'
      when ordered.order_id is null and refused_order.row_key is not null then 'in_quarantine: order_id'
      when ordered.order_id is null then 'broken_reference: order_id'
      when item.order_item_id is null and refused_item.row_key is not null then 'in_quarantine: order_item_id'
      when item.order_item_id is null then 'broken_reference: order_item_id'
    end as refused
  from loaded
  left join ({{ known('orders', 'loaded') }}) as ordered on ordered.order_id = loaded.order_id
  left join ({{ refused('orders') }}) as refused_order on refused_order.row_key = loaded.order_id
  left join ({{ known('order_items', 'loaded') }}) as item on item.order_item_id = loaded.order_item_id
  left join ({{ refused('order_items') }}) as refused_item on refused_item.row_key = loaded.order_item_id
)

{{ versions('returns', 'judged') }}
