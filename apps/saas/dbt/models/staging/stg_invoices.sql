select
  invoice_id,
  subscription_id,
  seats,
  seat_price,
  total,
  {{ utc('issued_at') }} as issued_at
from {{ latest('invoices', 'invoice_id') }} as invoices
