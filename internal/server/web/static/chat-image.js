// Makes a picture small enough for a message.

const MAX = 16 << 10;     // bytes of content that a message may have
const SIDES = [1024, 800, 640, 512, 400, 320, 256, 192, 128, 64]; // of the longer side, in pixels
const QUALITIES = [0.8, 0.65, 0.5, 0.35];

// shrink returns the image in a file as a data URL of at most MAX bytes: the largest that fits. The image is drawn
// anew, so that no other data of the file (place and author of the photo) is sent.
export async function shrink(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  try {
    const longer = Math.max(bitmap.width, bitmap.height);
    for (const side of [longer, ...SIDES.filter((s) => s < longer)]) {
      if (side > SIDES[0]) continue;
      const canvas = draw(bitmap, side / longer);
      for (const quality of QUALITIES) {
        const url = encode(canvas, quality);
        if (url.length <= MAX) return url;
      }
    }
  } finally {
    bitmap.close();
  }
  throw new Error('This image cannot be made small enough.');
}

function draw(bitmap, scale) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// encode prefers WebP; browsers that cannot write it answer with PNG, and then JPEG is used.
function encode(canvas, quality) {
  const webp = canvas.toDataURL('image/webp', quality);
  if (webp.startsWith('data:image/webp')) return webp;
  const flat = document.createElement('canvas'); // JPEG has no transparency: use white, not black
  flat.width = canvas.width;
  flat.height = canvas.height;
  const context = flat.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, flat.width, flat.height);
  context.drawImage(canvas, 0, 0);
  return flat.toDataURL('image/jpeg', quality);
}
