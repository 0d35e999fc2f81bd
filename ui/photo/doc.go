// Package photo makes what people hand in as a photo fit to be kept and shown to others:
// JPEG, PNG and WebP, found by their content. A file is taken apart and put together anew
// from the parts that carry the picture; where it was taken, with what and by whom, its
// comments, thumbnails and whatever stands behind its end are left out. The pixels are not
// decoded: a small file that stands for a giant picture costs nothing here.
package photo
