// Photographs made small on the phone itself: at most 1600 pixels, JPEG; the turn of the camera is kept.
const LONGEST_PX = 1600;
const QUALITY = 0.82;

/** A JPEG of at most LONGEST_PX on its longer side; throws when the browser cannot read the picture. */
export async function shrink(file) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, LONGEST_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const small = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  if (!small) throw new Error("no picture");
  return small;
}
