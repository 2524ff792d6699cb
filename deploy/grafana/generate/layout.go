package main

// A section is a row of a dashboard, with its panels in the order of reading.
type section struct {
	title  string
	panels []panel
}

// The grid of a dashboard.
const (
	columns   = 24
	perRow    = 100 // the ids that the panels of one row have: a new panel at its end changes no other's
	headLines = 1
)

// layout puts the sections below each other. In a section panels stand from left to
// right and go on below where a line is full.
func layout(sections []section) (placed []panel) {
	y := 0
	for i, s := range sections {
		id := (i + 1) * perRow
		open, hidden := false, []panel{}
		placed = append(placed, panel{
			ID: id, Kind: "row", Title: s.title, Collapsed: &open, Panels: &hidden,
			GridPos: gridPos{H: headLines, W: columns, Y: y},
		})
		y += headLines
		x, height := 0, 0
		for _, p := range s.panels {
			id++
			if x+p.GridPos.W > columns {
				x, y, height = 0, y+height, 0
			}
			p.ID, p.GridPos.X, p.GridPos.Y = id, x, y
			x, height = x+p.GridPos.W, max(height, p.GridPos.H)
			placed = append(placed, p)
		}
		y += height
	}
	return placed
}
