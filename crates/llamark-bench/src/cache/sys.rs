//! `mincore` and `posix_fadvise`: neither the standard library nor rustix offers the first. All `unsafe` of this crate
//! is here.
#![expect(unsafe_code, reason = "mincore needs a mapping, and has no safe form")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

use camino::Utf8Path;

/// Bytes of a file that are mapped at once: so that a model of any size needs a table of 64 KiB.
const WINDOW: u64 = 1 << 28;

/// Bytes of a page.
pub(super) fn page_size() -> u64 {
    // SAFETY: it takes no pointer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
}

/// Whether the system says of a file which of its pages are in memory.
pub(super) fn is_told(path: &Utf8Path, owner: u32) -> bool {
    // SAFETY: it takes no pointer.
    if unsafe { libc::geteuid() } == owner {
        return true;
    }
    let Ok(path) = CString::new(path.as_str()) else { return false };
    // SAFETY: the text ends in a zero byte, and is not kept.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}

/// Pages of the first `bytes` of a file that are in memory.
pub(super) fn resident_pages(file: &File, bytes: u64) -> io::Result<u64> {
    let page = page_size();
    let mut resident = 0;
    let mut offset = 0;
    while offset < bytes {
        let length = WINDOW.min(bytes - offset);
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let size = usize::try_from(length).map_err(too_large)?;
        let pages = usize::try_from(length.div_ceil(page)).map_err(too_large)?;
        let at = libc::off_t::try_from(offset).map_err(too_large)?;
        let mut states = vec![0_u8; pages];
        // SAFETY: a new mapping, at a place that the system chooses; nothing is read through it.
        let mapping = unsafe {
            libc::mmap(ptr::null_mut(), size, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), at)
        };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is `size` long, and `states` has a byte for each of its pages.
        let told = unsafe { libc::mincore(mapping, size, states.as_mut_ptr().cast()) };
        let error = io::Error::last_os_error();
        // SAFETY: it is the mapping of above, whole, and nothing refers to it.
        unsafe { libc::munmap(mapping, size) };
        if told != 0 {
            return Err(error);
        }
        // The other bits are reserved.
        resident += states.iter().filter(|state| *state & 1 == 1).count() as u64;
        offset += length;
    }
    Ok(resident)
}

/// Drops what of a file is in memory, as far as it can be dropped.
pub(super) fn drop_pages(file: &File) -> io::Result<()> {
    // SAFETY: it takes no pointer.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
