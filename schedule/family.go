package schedule

// family is a template and its instances, as far as anything is known of them.
type family struct {
	template string // app@.service
	members  map[*node]struct{}
}

// join makes a new node one of its template's family. The template itself is
// no member.
func (c *Cluster) join(n *node) {
	if n.template == "" || n.template == n.name {
		return
	}
	f := c.families[n.template]
	if f == nil {
		f = &family{template: n.template, members: make(map[*node]struct{})}
		c.families[n.template] = f
	}
	f.members[n] = struct{}{}
	n.family = f
}

// part ends what join began.
func (c *Cluster) part(n *node) {
	if n.family == nil {
		return
	}
	delete(n.family.members, n)
	if len(n.family.members) == 0 {
		delete(c.families, n.template)
	}
	n.family = nil
}
