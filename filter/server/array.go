package server

// array enters the value of a member, which must be an array, and reports
// whether there is a first element. Each element that is reported has to be read:
//
//	for some := o.array(); some; some = o.more() {
//		list = append(list, o.text())
//	}
func (o *object) array() bool {
	if !o.want('[', "an array") {
		return false
	}
	o.pos++
	if o.peek() == ']' {
		o.pos++
		return false
	}
	return true
}

// more reports whether another element follows the one that was read.
func (o *object) more() bool {
	if o.err != nil {
		return false
	}
	switch o.peek() {
	case ',':
		o.pos++
		o.peek()
		return true
	case ']':
		o.pos++
		return false
	}
	return o.fail("expected a comma or the closing bracket")
}

// within reads the object that is the next value, of a member or in an array:
//
//	in := o.within()
//	for in.next() {
//		…
//	}
//	o.resume(in)
func (o *object) within() object {
	in := object{buf: o.buf, pos: o.pos, name: o.name, err: o.err, nested: true, begun: true, first: true}
	if in.want('{', "an object") {
		in.pos++
	}
	return in
}

// resume goes on behind an object that within has begun.
func (o *object) resume(in object) { o.pos, o.err = in.pos, in.err }
