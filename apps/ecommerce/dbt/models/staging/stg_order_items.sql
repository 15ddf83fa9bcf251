with loaded as (
  {{ loaded('order_items') }}
),

judged as (
  select
    loaded.*,
    case
      when quantity not between 1 and 99999 then 'out_of_range: quantity'
      when unit_price not between 0 and 999999999 then 'out_of_range: unit_price'
      when discount not between 0 and 999999999 then 'out_of_range: discount'
      when ordered.order_id is null and refused_order.row_key is not null then 'in_quarantine: order_id'
      when ordered.order_id is null then 'broken_reference: order_id'
      when product.product_id is null and refused_product.row_key is not null then 'in_quarantine: product_id'
      when product.product_id is null then 'broken_reference: product_id'
    end as refused
  from loaded
  left join ({{ known('orders', 'loaded') }}) as ordered on ordered.order_id = loaded.order_id
  left join ({{ refused('orders') }}) as refused_order on refused_order.row_key = loaded.order_id
  left join ({{ known('products', 'loaded') }}) as product on product.product_id = loaded.product_id
  left join ({{ refused('products') }}) as refused_product on refused_product.row_key = loaded.product_id
)

{{ versions('order_items', 'judged') }}
