package catalog

import "time"

// SetNow gives c another clock. It must be called before c is used.
func (c *Catalog) SetNow(now func() time.Time) { c.now, c.start = now, now() }
