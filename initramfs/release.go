package initramfs

import (
	"os"
	"syscall"
	"unsafe"
)

// Release tells the kernel that the image's pages in the memory of this process are
// not needed now; who touches them gets them again from the program file. After
// Verify, which touches all of them, they would count as the process's own for good:
// 45 MB on an appliance that may not boot a machine for weeks. It is safe while the
// image is being read.
func (i *Image) Release() {
	for _, blob := range i.blobs {
		if inner := wholePages(blob.data); i.embedded && len(inner) > 0 {
			_ = syscall.Madvise(inner, syscall.MADV_DONTNEED) // they stay, and that is all
		}
	}
}

// wholePages returns the part of data that lies in pages of its own.
func wholePages(data []byte) []byte {
	page := os.Getpagesize()
	start := uintptr(unsafe.Pointer(unsafe.SliceData(data))) //nolint:gosec // an address to be rounded, never followed
	skip := (page - int(start%uintptr(page))) % page         //nolint:gosec // below the size of a page

	if len(data) < skip+page {
		return nil
	}

	return data[skip : skip+(len(data)-skip)/page*page]
}
