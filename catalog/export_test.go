package catalog

import "time"

// SetNow gives c another clock, before its first use.
func (c *Catalog) SetNow(now func() time.Time) { c.now, c.start = now, now() }
