package httpapi

import (
	"maps"
	"slices"
)

// Endpoints returns the names of what the handler serves, in order.
func (h *Handler) Endpoints() []string { return slices.Sorted(maps.Keys(h.endpoints)) }

// Statuses returns those that an error of the domain may be answered with.
func Statuses() []int {
	var all []int
	for _, s := range statuses {
		all = append(all, s.status)
	}
	return all
}
