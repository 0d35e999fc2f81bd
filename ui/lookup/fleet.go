package lookup

import "vetting/core"

// Trash lists the hosts that were deleted and can be brought back.
func Trash(r core.Reader, page Page) ([]core.Host, string, error) {
	return list[core.Host](r, core.TableTrash, page)
}

// Classes lists every model class by name.
func Classes(r core.Reader) ([]core.Class, error) {
	classes, _, err := list[core.Class](r, core.TableClass, Page{Limit: 1 << 16})

	return classes, err
}
